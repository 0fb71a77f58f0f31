package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/stepgate/stepgate/factors/delivery"
)

// DefaultBody is what is posted where Options has no Body.
const DefaultBody = `{"id":"{id}","channel":"{channel}","to":"{to}","subject":"{subject}","body":"{body}"}`

// Options of a sender.
type Options struct {
	// URL is posted to: https, or http on the loopback. Needed.
	URL string
	// Header is added to each request.
	Header http.Header
	// Body is the JSON that is posted. {to}, {body}, {subject}, {id} and
	// {channel} stand inside its strings and are escaped for them. Default:
	// DefaultBody.
	Body string
	// Secret signs requests; empty: none is signed.
	Secret []byte
	// Client makes requests; nil is one of ours.
	Client *http.Client
	// Now is the clock of signatures; nil is the system's.
	Now func() time.Time
}

// Sender posts messages. It is safe for concurrent use. Get one from New.
type Sender struct{ o Options }

// New checks the options. It opens nothing.
func New(o Options) (*Sender, error) {
	if o.Body == "" {
		o.Body = DefaultBody
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	if o.Client == nil {
		o.Client = &http.Client{
			Timeout:       15 * time.Second,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Sender{o}, nil
}

func (o Options) check() error {
	u, err := url.Parse(o.URL)
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && u.Scheme != "http" {
		return errors.New("expected an address such as https://sms.example.net/send, without a password in it")
	}
	if u.Scheme == "http" && !delivery.Loopback(u.Hostname()) {
		return fmt.Errorf("http://%s: codes would cross the network in the clear; use https", u.Host)
	}
	if strings.Contains(o.Body, "{env.") || strings.Contains(o.Body, "{file.") {
		return errors.New("body: secrets do not belong here; put them in a header, or sign with `secret`")
	}
	// Content with a quote in it is JSON only inside a string.
	if !json.Valid(fill(o.Body, delivery.Message{ID: `"`, Channel: `"`, To: `"`, Subject: `"`, Body: `"`})) {
		return errors.New(`body: expected JSON with each placeholder inside quotes, such as {"to":"{to}","text":"{body}"}`)
	}
	return nil
}

var placeholder = regexp.MustCompile(`\{(?:to|body|subject|id|channel)\}`)

// fill puts a message into a template. What comes from the message is never
// looked at for placeholders.
func fill(template string, m delivery.Message) []byte {
	values := map[string]string{"{to}": m.To, "{body}": m.Body, "{subject}": m.Subject, "{id}": m.ID, "{channel}": m.Channel}
	return placeholder.ReplaceAllFunc([]byte(template), func(name []byte) []byte {
		return escape(values[string(name)])
	})
}

// escape is text as the inside of a JSON string.
func escape(text string) []byte {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(text) // a string always encodes
	quoted := bytes.TrimSuffix(out.Bytes(), []byte("\n"))
	return quoted[1 : len(quoted)-1]
}

// Send implements delivery.Sender with one request.
func (s *Sender) Send(ctx context.Context, m delivery.Message) error {
	body := fill(s.o.Body, m)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.o.URL, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("%w: webhook: address", delivery.ErrPermanent)
	}
	for name, values := range s.o.Header {
		r.Header[name] = values
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Idempotency-Key", m.ID)
	if len(s.o.Secret) > 0 {
		r.Header.Set("Stepgate-Signature", sign(s.o.Secret, s.o.Now(), body))
	}
	answer, err := s.o.Client.Do(r)
	if err != nil {
		return unanswered(err)
	}
	defer answer.Body.Close()
	io.Copy(io.Discard, io.LimitReader(answer.Body, 64<<10))
	return outcome(answer.StatusCode)
}

func sign(secret []byte, now time.Time, body []byte) string {
	at := strconv.FormatInt(now.Unix(), 10)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(at + "."))
	mac.Write(body)
	return "t=" + at + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}

func outcome(status int) error {
	switch {
	case status/100 == 2:
		return nil
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable:
		return fmt.Errorf("%w: webhook: status %d", delivery.ErrTemporary, status)
	case status == http.StatusUnprocessableEntity:
		return fmt.Errorf("%w: webhook: status %d", delivery.ErrRefused, status)
	case status/100 == 3, status/100 == 4:
		return fmt.Errorf("%w: webhook: status %d", delivery.ErrPermanent, status)
	default:
		return fmt.Errorf("webhook: status %d", status)
	}
}

// unanswered tells a request that never left from one whose answer is lost.
// The address is left out of the error: its query may hold a key.
func unanswered(err error) error {
	if op := (*net.OpError)(nil); errors.As(err, &op) && op.Op == "dial" {
		return fmt.Errorf("%w: webhook: %w", delivery.ErrTemporary, op)
	}
	if wrong := (*url.Error)(nil); errors.As(err, &wrong) {
		err = wrong.Err
	}
	return fmt.Errorf("webhook: no answer: %w", err)
}
