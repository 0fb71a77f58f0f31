package sns

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/stepgate/stepgate/factors/delivery"
)

// Options of a sender.
type Options struct {
	// Region is AWS's ("eu-west-2"). Needed.
	Region string
	// SenderID is what phones show as the sender where the country allows
	// it: up to 11 letters and digits. Default: the account's own.
	SenderID string
	// MaxPrice is the most that one message may cost, in US dollars
	// ("0.10"). Default: the account's own limit.
	MaxPrice string
	// Endpoint replaces the region's address: for interface endpoints, and
	// for tests.
	Endpoint string
	// AccessKey and SecretKey are credentials; without them the SDK's chain
	// finds some (environment, shared files, role of the machine).
	AccessKey, SecretKey string
	// Client makes requests; nil is one of ours.
	Client *http.Client
	// Now is the clock of signatures; nil is the system's.
	Now func() time.Time
}

// Sender publishes texts. It is safe for concurrent use. Get one from New.
type Sender struct {
	o        Options
	endpoint string
	signer   *v4.Signer

	mu   sync.Mutex
	keys aws.CredentialsProvider
}

// New checks the options. It opens nothing; credentials are looked for when
// the first text is sent.
func New(o Options) (*Sender, error) {
	s := &Sender{o: o, endpoint: o.Endpoint, signer: v4.NewSigner()}
	if err := o.check(); err != nil {
		return nil, err
	}
	if s.endpoint == "" {
		s.endpoint = "https://sns." + o.Region + "." + domain(o.Region) + "/"
	}
	if s.o.Client == nil {
		s.o.Client = newClient()
	}
	if s.o.Now == nil {
		s.o.Now = time.Now
	}
	if o.AccessKey != "" {
		s.keys = credentials.NewStaticCredentialsProvider(o.AccessKey, o.SecretKey, "")
	}
	return s, nil
}

func (o Options) check() error {
	switch {
	case o.Region == "" || strings.Trim(o.Region, "abcdefghijklmnopqrstuvwxyz0123456789-") != "":
		return errors.New("region: expected the name of an AWS region, such as eu-west-2")
	case !senderID(o.SenderID):
		return fmt.Errorf("sender_id %q: expected up to 11 letters and digits, at least one of them a letter", o.SenderID)
	case (o.AccessKey == "") != (o.SecretKey == ""):
		return errors.New("access_key and secret_key go together; give both, or neither for the credentials of the machine")
	}
	if o.MaxPrice != "" {
		if price, err := strconv.ParseFloat(o.MaxPrice, 64); err != nil || price <= 0 || price > 100 {
			return fmt.Errorf("max_price %q: expected US dollars for one message, such as 0.10", o.MaxPrice)
		}
	}
	if o.Endpoint != "" {
		if u, err := url.Parse(o.Endpoint); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			return errors.New("endpoint: expected an address such as https://sns.eu-west-2.amazonaws.com")
		}
	}
	return nil
}

func senderID(id string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	return id == "" || len(id) <= 11 && strings.ContainsAny(id, letters) && strings.Trim(id, letters+"0123456789") == ""
}

func domain(region string) string {
	if strings.HasPrefix(region, "cn-") {
		return "amazonaws.com.cn"
	}
	return "amazonaws.com"
}

// newClient follows no redirect: a signed request is for one place.
func newClient() *http.Client {
	return &http.Client{
		Timeout:       15 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Send implements delivery.Sender with one request.
func (s *Sender) Send(ctx context.Context, m delivery.Message) error {
	if m.Channel != delivery.SMS {
		return fmt.Errorf("%w: sns sends texts only", delivery.ErrPermanent)
	}
	r, err := s.request(ctx, m)
	if err != nil {
		return err
	}
	answer, err := s.o.Client.Do(r)
	if err != nil {
		return unanswered(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, 64<<10))
	if answer.StatusCode/100 == 2 {
		return nil // accepted, whether or not its message ID was read
	}
	if err != nil {
		return fmt.Errorf("sns: status %d", answer.StatusCode)
	}
	return refusal(answer.StatusCode, body)
}

// request is a signed Publish.
func (s *Sender) request(ctx context.Context, m delivery.Message) (*http.Request, error) {
	body := s.form(m).Encode()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.endpoint, strings.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("%w: sns: endpoint", delivery.ErrPermanent)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	keys, err := s.credentials(ctx)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(body))
	if err := s.signer.SignHTTP(ctx, keys, r, hex.EncodeToString(sum[:]), "sns", s.o.Region, s.o.Now().UTC()); err != nil {
		return nil, fmt.Errorf("%w: sns: the request could not be signed", delivery.ErrPermanent)
	}
	return r, nil
}

// form has the parameters of Publish (SNS API reference, version 2010-03-31).
func (s *Sender) form(m delivery.Message) url.Values {
	form := url.Values{
		"Action": {"Publish"}, "Version": {"2010-03-31"}, "PhoneNumber": {m.To}, "Message": {m.Body},
	}
	n := 0
	attribute := func(name, kind, value string) {
		if value == "" {
			return
		}
		n++
		entry := fmt.Sprintf("MessageAttributes.entry.%d.", n)
		form.Set(entry+"Name", "AWS.SNS.SMS."+name)
		form.Set(entry+"Value.DataType", kind)
		form.Set(entry+"Value.StringValue", value)
	}
	attribute("SMSType", "String", "Transactional")
	attribute("SenderID", "String", s.o.SenderID)
	attribute("MaxPrice", "Number", s.o.MaxPrice)
	return form
}

// credentials come from the options or, looked up once, from the SDK's chain,
// which renews those that end.
func (s *Sender) credentials(ctx context.Context) (aws.Credentials, error) {
	provider, err := s.provider(ctx)
	if err == nil {
		var keys aws.Credentials
		if keys, err = provider.Retrieve(ctx); err == nil {
			return keys, nil
		}
	}
	// The chain's errors name files and addresses, which are no secrets.
	return aws.Credentials{}, fmt.Errorf("%w: sns: no credentials: %w", delivery.ErrTemporary, err)
}

func (s *Sender) provider(ctx context.Context) (aws.CredentialsProvider, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keys == nil {
		found, err := config.LoadDefaultConfig(ctx, config.WithRegion(s.o.Region))
		if err != nil {
			return nil, err
		}
		s.keys = found.Credentials
	}
	return s.keys, nil
}

// unanswered tells a request that never left from one whose answer is lost.
func unanswered(err error) error {
	if op := (*net.OpError)(nil); errors.As(err, &op) && op.Op == "dial" {
		return fmt.Errorf("%w: sns: %w", delivery.ErrTemporary, op)
	}
	if wrong := (*url.Error)(nil); errors.As(err, &wrong) {
		err = wrong.Err
	}
	return fmt.Errorf("sns: no answer: %w", err)
}

// refusal reads an error answer. Its message repeats the number, so only the
// code is passed on.
func refusal(status int, body []byte) error {
	var answer struct {
		Code    string `xml:"Error>Code"`
		Message string `xml:"Error>Message"`
	}
	_ = xml.Unmarshal(body, &answer) // without a code the status decides
	class := classOf(status, answer.Code, answer.Message)
	if class == nil {
		return fmt.Errorf("sns: status %d %s", status, word(answer.Code))
	}
	return fmt.Errorf("%w: sns: status %d %s", class, status, word(answer.Code))
}

func classOf(status int, code, message string) error {
	switch {
	case strings.HasPrefix(code, "Throttl"), status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable:
		return delivery.ErrTemporary
	case code == "OptedOut":
		return delivery.ErrRefused
	case strings.HasPrefix(code, "InvalidParameter") && strings.Contains(message, "PhoneNumber"):
		return delivery.ErrRefused
	case status/100 == 4:
		return delivery.ErrPermanent
	default:
		return nil
	}
}

// word keeps a code that looks like one.
func word(code string) string {
	if len(code) > 60 || strings.Trim(code, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.") != "" {
		return ""
	}
	return code
}
