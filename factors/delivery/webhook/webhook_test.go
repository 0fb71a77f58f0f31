package webhook_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/stepgate/stepgate/factors/delivery"
	"github.com/stepgate/stepgate/factors/delivery/webhook"
)

// receiver keeps what it was posted and answers with a status.
type receiver struct {
	*httptest.Server
	status int
	bodies []string
	heads  []http.Header
}

func newReceiver(t testing.TB) *receiver {
	r := &receiver{status: http.StatusAccepted}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, _ := io.ReadAll(q.Body)
		r.bodies, r.heads = append(r.bodies, string(body)), append(r.heads, q.Header)
		if r.status/100 == 3 {
			w.Header().Set("Location", r.URL)
		}
		w.WriteHeader(r.status)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) sender(t testing.TB, o webhook.Options) *webhook.Sender {
	t.Helper()
	o.URL = r.URL
	s, err := webhook.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var message = delivery.Message{
	ID: "ID1", Channel: delivery.SMS, To: "+447700900609", Body: "123456 is \"your\" code for {to}\\ <b>\n\n@portal.example.gov #123456",
}

func TestPostsSignedJSON(t *testing.T) {
	r := newReceiver(t)
	now := time.Unix(1772366400, 0)
	s := r.sender(t, webhook.Options{
		Header: http.Header{"Authorization": {"Bearer T"}}, Body: `{"recipient":"{to}","text":"Hello: {body}","ref":["{id}"],"n":1}`,
		Secret: []byte("secret"), Now: func() time.Time { return now },
	})
	if err := s.Send(t.Context(), message); err != nil {
		t.Fatal(err)
	}
	var got any
	if err := json.Unmarshal([]byte(r.bodies[0]), &got); err != nil {
		t.Fatalf("%s: %v", r.bodies[0], err)
	}
	want := map[string]any{"recipient": message.To, "text": "Hello: " + message.Body, "ref": []any{"ID1"}, "n": 1.0}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	mac := hmac.New(sha256.New, []byte("secret"))
	mac.Write([]byte("1772366400." + r.bodies[0]))
	for name, want := range map[string]string{
		"Stepgate-Signature": "t=1772366400,v1=" + hex.EncodeToString(mac.Sum(nil)), "Idempotency-Key": "ID1",
		"Content-Type": "application/json", "Authorization": "Bearer T",
	} {
		if got := r.heads[0].Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestWithoutSecretNothingIsSigned(t *testing.T) {
	r := newReceiver(t)
	if err := r.sender(t, webhook.Options{}).Send(t.Context(), message); err != nil {
		t.Fatal(err)
	}
	if got := r.heads[0].Get("Stepgate-Signature"); got != "" {
		t.Error(got)
	}
}

func TestWhateverTheMessageSaysTheBodyIsItsJSON(t *testing.T) {
	r := newReceiver(t)
	s := r.sender(t, webhook.Options{})
	rapid.Check(t, func(rt *rapid.T) {
		text := rapid.String()
		m := delivery.Message{ID: text.Draw(rt, "id"), Channel: "sms", To: text.Draw(rt, "to"), Subject: text.Draw(rt, "subject"), Body: text.Draw(rt, "body")}
		m.ID = strings.Map(func(r rune) rune {
			if r < ' ' || r > '~' {
				return -1
			}
			return r
		}, m.ID)
		if err := s.Send(context.Background(), m); err != nil {
			rt.Fatal(err)
		}
		var got map[string]string
		if err := json.Unmarshal([]byte(r.bodies[len(r.bodies)-1]), &got); err != nil {
			rt.Fatal(err)
		}
		want := map[string]string{"id": m.ID, "channel": "sms", "to": m.To, "subject": m.Subject, "body": m.Body}
		if diff := cmp.Diff(want, got); diff != "" {
			rt.Fatal(diff)
		}
	})
}

func TestStatusesSayWhetherItWasAccepted(t *testing.T) {
	for status, want := range map[int]error{
		200: nil, 202: nil, 204: nil, 429: delivery.ErrTemporary, 503: delivery.ErrTemporary, 422: delivery.ErrRefused,
		302: delivery.ErrPermanent, 400: delivery.ErrPermanent, 401: delivery.ErrPermanent, 404: delivery.ErrPermanent,
	} {
		r := newReceiver(t)
		r.status = status
		if err := r.sender(t, webhook.Options{}).Send(t.Context(), message); !errors.Is(err, want) {
			t.Errorf("%d: %v", status, err)
		}
		if len(r.bodies) != 1 {
			t.Errorf("%d: %d requests", status, len(r.bodies))
		}
	}
	r := newReceiver(t)
	r.status = 500
	err := r.sender(t, webhook.Options{}).Send(t.Context(), message)
	if err == nil || errors.Is(err, delivery.ErrTemporary) || errors.Is(err, delivery.ErrPermanent) || errors.Is(err, delivery.ErrRefused) {
		t.Errorf("500: %v", err)
	}
}

func TestErrorsDoNotRepeatTheAddress(t *testing.T) {
	r := newReceiver(t)
	address := r.URL + "/send?key=SECRET"
	r.Close()
	s, err := webhook.New(webhook.Options{URL: address})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Send(t.Context(), message); !errors.Is(err, delivery.ErrTemporary) || strings.Contains(err.Error(), "SECRET") {
		t.Error(err)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for _, c := range []struct {
		o    webhook.Options
		want string
	}{
		{webhook.Options{}, "expected an address"},
		{webhook.Options{URL: "https://user:pw@sms.example.net/"}, "without a password"},
		{webhook.Options{URL: "http://sms.example.net/"}, "use https"},
		{webhook.Options{URL: "https://sms.example.net/", Body: `{"to":{to}}`}, "inside quotes"},
		{webhook.Options{URL: "https://sms.example.net/", Body: `to={to}`}, "expected JSON"},
		{webhook.Options{URL: "https://sms.example.net/", Body: `{"key":"{env.KEY}"}`}, "secrets"},
	} {
		if _, err := webhook.New(c.o); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "pw@") {
			t.Errorf("%+v: error is %v", c.o, err)
		}
	}
}
