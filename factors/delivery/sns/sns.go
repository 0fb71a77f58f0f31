package sns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/aws/smithy-go"

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
}

// Sender publishes texts. It is safe for concurrent use. Get one from New.
type Sender struct {
	o Options

	mu     sync.Mutex
	client *sns.Client
}

// New checks the options. It opens nothing; credentials are looked for when
// the first text is sent.
func New(o Options) (*Sender, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if o.Client == nil {
		o.Client = newClient()
	}
	return &Sender{o: o}, nil
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
	client, err := s.connect(ctx)
	if err != nil {
		return err
	}
	_, err = client.Publish(ctx, &sns.PublishInput{
		PhoneNumber: aws.String(m.To), Message: aws.String(m.Body), MessageAttributes: s.attributes(),
	})
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("sns: no answer: %w", ctx.Err())
	default:
		return classed(err)
	}
}

// attributes are those of a text (SNS developer guide, "Publishing to a
// mobile phone").
func (s *Sender) attributes() map[string]types.MessageAttributeValue {
	all := map[string]types.MessageAttributeValue{}
	set := func(name, kind, value string) {
		if value != "" {
			all["AWS.SNS.SMS."+name] = types.MessageAttributeValue{DataType: aws.String(kind), StringValue: aws.String(value)}
		}
	}
	set("SMSType", "String", "Transactional")
	set("SenderID", "String", s.o.SenderID)
	set("MaxPrice", "Number", s.o.MaxPrice)
	return all
}

// connect makes the client with the first text. It never tries again by
// itself: a lost answer may have sent the text.
func (s *Sender) connect(ctx context.Context) (*sns.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client != nil {
		return s.client, nil
	}
	o := sns.Options{Region: s.o.Region, HTTPClient: s.o.Client, Retryer: aws.NopRetryer{}}
	if s.o.Endpoint != "" {
		o.BaseEndpoint = aws.String(s.o.Endpoint)
	}
	if s.o.AccessKey != "" {
		o.Credentials = credentials.NewStaticCredentialsProvider(s.o.AccessKey, s.o.SecretKey, "")
	} else {
		found, err := config.LoadDefaultConfig(ctx, config.WithRegion(s.o.Region))
		if err != nil {
			return nil, fmt.Errorf("%w: sns: no credentials: %w", delivery.ErrTemporary, err)
		}
		o.Credentials = found.Credentials
	}
	s.client = sns.New(o)
	return s.client, nil
}

// classed tells what became of the text. The SDK's errors may repeat the
// number, so that only a code, a status or the network's own words are passed
// on.
func classed(err error) error {
	status := 0
	if answered := (*awshttp.ResponseError)(nil); errors.As(err, &answered) {
		status = answered.HTTPStatusCode()
	}
	if api := smithy.APIError(nil); status != 0 && errors.As(err, &api) {
		return refusal(status, api.ErrorCode(), api.ErrorMessage())
	}
	switch {
	case status/100 == 2:
		return nil // accepted, whether or not its message ID was read
	case status != 0:
		return refusal(status, "", "")
	}
	return unanswered(err)
}

// unanswered tells a request that never left from one whose answer is lost.
func unanswered(err error) error {
	if op := (*net.OpError)(nil); errors.As(err, &op) {
		if op.Op == "dial" {
			return fmt.Errorf("%w: sns: %w", delivery.ErrTemporary, op)
		}
		return fmt.Errorf("sns: no answer: %w", op)
	}
	if wrong := (*url.Error)(nil); errors.As(err, &wrong) {
		return fmt.Errorf("sns: no answer: %w", wrong.Err)
	}
	// What is left failed before anything was sent: no credentials, or a
	// request that could not be made.
	return fmt.Errorf("%w: sns: the request could not be made", delivery.ErrTemporary)
}

// refusal is an error answer.
func refusal(status int, code, message string) error {
	said := strings.TrimSpace(fmt.Sprintf("status %d %s %s", status, word(code), redact(message)))
	class := classOf(status, code, message)
	if class == nil {
		return fmt.Errorf("sns: %s", said)
	}
	return fmt.Errorf("%w: sns: %s", class, said)
}

func classOf(status int, code, message string) error {
	folded := strings.ToLower(message)
	switch {
	case strings.HasPrefix(code, "Throttl"), status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable:
		return delivery.ErrTemporary
	case code == "OptedOut", strings.Contains(folded, "opted out"):
		return delivery.ErrRefused
	// An account that may send to its own verified numbers alone (the sandbox),
	// or has spent its month's money, is the operator's to mend.
	case strings.Contains(folded, "sandbox"), strings.Contains(folded, "verified"), strings.Contains(folded, "spend"), strings.Contains(folded, "quota"):
		return delivery.ErrPermanent
	case strings.HasPrefix(code, "InvalidParameter") && strings.Contains(message, "PhoneNumber"):
		return delivery.ErrRefused
	case status/100 == 4:
		return delivery.ErrPermanent
	default:
		return nil
	}
}

// redact is AWS's text without what could be a number, a code or a key.
func redact(text string) string {
	text = secretLike.ReplaceAllString(text, "…")
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }), " ")
	runes := []rune(text)
	return string(runes[:min(len(runes), maxSaid)])
}

var secretLike = regexp.MustCompile(`\+?\d[\d -]{3,}\d|[A-Za-z0-9+/=_-]{20,}`)

// maxSaid bounds what is repeated of an answer, in runes.
const maxSaid = 200

// word keeps a code that looks like one.
func word(code string) string {
	if len(code) > 60 || strings.Trim(code, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.") != "" {
		return ""
	}
	return code
}
