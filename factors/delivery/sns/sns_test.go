package sns_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/stepgate/stepgate/factors/delivery"
	"github.com/stepgate/stepgate/factors/delivery/sns"
	"github.com/stepgate/stepgate/internal/legacytest"
)

const accessKey, secretKey = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"

// endpoint is an SNS of our own: it signs what it was sent once more and
// compares, and answers as it is told.
type endpoint struct {
	*httptest.Server
	mu     sync.Mutex
	status int
	answer string
	slow   time.Duration
	forms  []url.Values
}

func newEndpoint(t *testing.T) *endpoint {
	e := &endpoint{status: http.StatusOK, answer: `<PublishResponse><PublishResult><MessageId>1</MessageId></PublishResult></PublishResponse>`}
	e.Server = httptest.NewServer(http.HandlerFunc(e.serve))
	t.Cleanup(e.Close)
	return e
}

// seen are the forms that arrived so far.
func (e *endpoint) seen() []url.Values {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.forms)
}

func (e *endpoint) fails(status int, code, message string) {
	e.status, e.answer = status, fmt.Sprintf(`<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error></ErrorResponse>`, code, message)
}

func (e *endpoint) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	form, _ := url.ParseQuery(string(body))
	e.mu.Lock()
	e.forms = append(e.forms, form)
	e.mu.Unlock()
	if err := verify(r, body); err != nil {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, `<ErrorResponse><Error><Code>SignatureDoesNotMatch</Code><Message>%s</Message></Error></ErrorResponse>`, err)
		return
	}
	select {
	case <-time.After(e.slow):
	case <-r.Context().Done():
	}
	w.WriteHeader(e.status)
	io.WriteString(w, e.answer)
}

// verify makes the request anew from the headers that were signed and signs
// it with the secret that belongs to the key.
func verify(r *http.Request, body []byte) error {
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil {
		return err
	}
	got := r.Header.Get("Authorization")
	_, signed, _ := strings.Cut(got, "SignedHeaders=")
	signed, _, _ = strings.Cut(signed, ",")
	again, _ := http.NewRequest(r.Method, "http://"+r.Host+r.URL.RequestURI(), strings.NewReader(string(body)))
	again.ContentLength = int64(len(body))
	for name := range strings.SplitSeq(signed, ";") {
		if name != "host" && name != "content-length" {
			again.Header.Set(name, r.Header.Get(name))
		}
	}
	sum := sha256.Sum256(body)
	keys := aws.Credentials{AccessKeyID: accessKey, SecretAccessKey: secretKey}
	if err := v4.NewSigner().SignHTTP(context.Background(), keys, again, hex.EncodeToString(sum[:]), "sns", "eu-west-2", at); err != nil {
		return err
	}
	if again.Header.Get("Authorization") != got {
		return errors.New("signatures differ")
	}
	return nil
}

func (e *endpoint) sender(t *testing.T, change func(*sns.Options)) *sns.Sender {
	t.Helper()
	o := sns.Options{Region: "eu-west-2", Endpoint: e.URL, AccessKey: accessKey, SecretKey: secretKey, SenderID: "PORTAL", MaxPrice: "0.10"}
	if change != nil {
		change(&o)
	}
	s, err := sns.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var message = delivery.Message{
	ID: "ID1", Channel: delivery.SMS, To: "+447700900609",
	Body: "123456 is your code & more. + = %\n\n@portal.example.gov #123456",
}

func TestPublishesOneSignedTransactionalText(t *testing.T) {
	e := newEndpoint(t)
	if err := e.sender(t, nil).Send(t.Context(), message); err != nil {
		t.Fatal(err)
	}
	seen := e.seen()
	if len(seen) != 1 {
		t.Fatalf("%d requests", len(seen))
	}
	// The client writes the attributes in an order of its own.
	got := map[string]string{}
	for name, values := range seen[0] {
		entry, isName := strings.CutSuffix(name, ".Name")
		switch {
		case isName:
			got[values[0]] = seen[0].Get(entry+".Value.DataType") + " " + seen[0].Get(entry+".Value.StringValue")
		case !strings.HasPrefix(name, "MessageAttributes."):
			got[name] = values[0]
		}
	}
	want := map[string]string{
		"Action": "Publish", "Version": "2010-03-31", "PhoneNumber": message.To, "Message": message.Body,
		"AWS.SNS.SMS.SMSType": "String Transactional", "AWS.SNS.SMS.SenderID": "String PORTAL", "AWS.SNS.SMS.MaxPrice": "Number 0.10",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestEveryFailureIsOneRequestWithoutTheNumberInItsError(t *testing.T) {
	unknown := errors.New("unknown")
	for name, c := range map[string]struct {
		status              int
		code, message, want string
		class               error
	}{
		"throttled":           {400, "Throttling", "Rate exceeded", "Throttling", delivery.ErrTemporary},
		"throttled 429":       {429, "ThrottledException", "Rate exceeded", "ThrottledException", delivery.ErrTemporary},
		"busy":                {503, "ServiceUnavailable", "", "ServiceUnavailable", delivery.ErrTemporary},
		"broken":              {500, "InternalFailure", "for +447700900609", "InternalFailure", unknown},
		"opted out":           {400, "OptedOut", "+447700900609 is opted out", "OptedOut", delivery.ErrRefused},
		"no number":           {400, "InvalidParameter", "Invalid parameter: PhoneNumber Reason: +447700900609 is not valid", "InvalidParameter", delivery.ErrRefused},
		"opted out, in words": {400, "InvalidParameter", "Invalid parameter: PhoneNumber Reason: phone number is opted out", "opted out", delivery.ErrRefused},
		"sandbox":             {400, "InvalidParameter", "Invalid parameter: PhoneNumber Reason: +447700900609 is not a verified number in the sandbox", "sandbox", delivery.ErrPermanent},
		"no money left":       {400, "UserError", "No quota left for account", "No quota left", delivery.ErrPermanent},
		"spent":               {400, "InvalidParameter", "Invalid parameter: PhoneNumber Reason: the account has reached its monthly spend limit", "spend limit", delivery.ErrPermanent},
		"a quota":             {400, "InvalidParameter", "Invalid parameter: PhoneNumber Reason: daily quota reached", "quota", delivery.ErrPermanent},
		"other parameter":     {400, "InvalidParameter", "Invalid parameter: MaxPrice", "InvalidParameter", delivery.ErrPermanent},
		"not allowed":         {403, "AuthorizationError", "User: arn:… is not authorized", "AuthorizationError", delivery.ErrPermanent},
		"a code that lies":    {400, "Sent to +447700900609", "", "status 400", delivery.ErrPermanent},
		"redirect":            {307, "", "", "status 307", unknown},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEndpoint(t)
			e.fails(c.status, c.code, c.message)
			err := e.sender(t, nil).Send(t.Context(), message)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "900609") || strings.Contains(err.Error(), "123456") {
				t.Errorf("error is %v", err)
			}
			for _, class := range []error{delivery.ErrTemporary, delivery.ErrPermanent, delivery.ErrRefused} {
				if errors.Is(err, class) != (class == c.class) {
					t.Errorf("%v is %v: %v", err, class, errors.Is(err, class))
				}
			}
			if len(e.seen()) != 1 {
				t.Errorf("%d requests", len(e.seen()))
			}
		})
	}
}

func TestLostAnswerIsNotTriedAgain(t *testing.T) {
	e := newEndpoint(t)
	e.slow = 10 * time.Second
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	err := e.sender(t, nil).Send(ctx, message)
	if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, delivery.ErrTemporary) || strings.Contains(err.Error(), "127.0.0.1") {
		t.Errorf("error is %v", err)
	}
	if len(e.seen()) != 1 {
		t.Errorf("%d requests", len(e.seen()))
	}
}

func TestNobodyThereIsTemporary(t *testing.T) {
	e := &endpoint{Server: &httptest.Server{URL: "http://" + legacytest.FreeAddr(t)}}
	if err := e.sender(t, nil).Send(t.Context(), message); !errors.Is(err, delivery.ErrTemporary) {
		t.Error(err)
	}
}

func TestWrongSecretIsPermanentAndNotRepeated(t *testing.T) {
	e := newEndpoint(t)
	err := e.sender(t, func(o *sns.Options) { o.SecretKey = "another secret" }).Send(t.Context(), message)
	if !errors.Is(err, delivery.ErrPermanent) || !strings.Contains(err.Error(), "SignatureDoesNotMatch") || strings.Contains(err.Error(), "another secret") {
		t.Error(err)
	}
}

func TestCredentialsOfTheEnvironment(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", accessKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", secretKey)
	t.Setenv("AWS_CONFIG_FILE", "/dev/null")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
	e := newEndpoint(t)
	s := e.sender(t, func(o *sns.Options) { o.AccessKey, o.SecretKey = "", "" })
	if err := s.Send(t.Context(), message); err != nil {
		t.Error(err)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for want, o := range map[string]sns.Options{
		"region":                    {},
		"region:":                   {Region: "eu-west-2.evil.example/"},
		"sender_id":                 {Region: "eu-west-2", SenderID: "The Portal"},
		"up to 11":                  {Region: "eu-west-2", SenderID: "123456"},
		"access_key and secret_key": {Region: "eu-west-2", AccessKey: "x"},
		"max_price":                 {Region: "eu-west-2", MaxPrice: "free"},
		"endpoint":                  {Region: "eu-west-2", Endpoint: "sns.example"},
	} {
		if _, err := sns.New(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error is %v", o, err)
		}
	}
	if _, err := sns.New(sns.Options{Region: "cn-north-1"}); err != nil {
		t.Error(err)
	}
}

func TestEMailIsRefused(t *testing.T) {
	e := newEndpoint(t)
	if err := e.sender(t, nil).Send(t.Context(), delivery.Message{Channel: delivery.Email}); !errors.Is(err, delivery.ErrPermanent) || len(e.seen()) > 0 {
		t.Error(err)
	}
}
