package oidc_test

import (
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/stepgate/stepgate/internal/signin"
)

// told is a request by which the issuer says something.
func told(t *testing.T, query, form url.Values) *http.Request {
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/.stepgate/oidc?"+query.Encode(), strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if err := r.ParseForm(); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestALogoutTokenIsTheIssuersForThisClient(t *testing.T) {
	i := newIssuer(t)
	s := open(t, i)
	event := map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}
	hear := func(token string) (signin.Ended, error) {
		return s.HearLogout(told(t, nil, url.Values{"logout_token": {token}}), "")
	}
	token := func(change map[string]any) string {
		claims := map[string]any{
			"iss": i.URL, "aud": client, "iat": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix(), "jti": "1", "sub": "subject-1", "sid": "there-1", "events": event,
		}
		maps.Copy(claims, change)
		maps.DeleteFunc(claims, func(_ string, value any) bool { return value == nil })
		return sign(t, jose.ES256, i.key, i.keyID, claims)
	}
	ended, err := hear(token(nil))
	if want := (signin.Ended{Subject: "subject-1", IssuerSession: "there-1"}); err != nil || ended != want {
		t.Errorf("%+v, %v; want %+v", ended, err, want)
	}
	for name, change := range map[string]map[string]any{
		"an ID token":    {"events": nil, "nonce": "n"},
		"with a nonce":   {"nonce": "n"},
		"another client": {"aud": "another"},
		"expired":        {"exp": time.Now().Add(-time.Hour).Unix()},
		"of an hour ago": {"iat": time.Now().Add(-time.Hour).Unix()},
		"of the future":  {"iat": time.Now().Add(time.Hour).Unix(), "exp": time.Now().Add(2 * time.Hour).Unix()},
		"of nobody":      {"sub": nil, "sid": nil},
		"without an id":  {"jti": nil},
	} {
		if ended, err := hear(token(change)); !errors.Is(err, signin.ErrRefused) {
			t.Errorf("%s: %+v, %v; want ErrRefused", name, ended, err)
		}
	}
	for name, raw := range map[string]string{
		"another issuer": token(map[string]any{"iss": "https://login.example.gov"}),
		"not signed":     unsigned(map[string]any{"iss": i.URL, "aud": client, "events": event, "sub": "subject-1", "jti": "1"}),
		"no token":       "x",
		"nothing":        "",
	} {
		if ended, err := hear(raw); !errors.Is(err, signin.ErrNobody) {
			t.Errorf("%s: %+v, %v; want ErrNobody", name, ended, err)
		}
	}
}

func TestAFrameOfTheIssuersEndsTheOneSessionThatItNames(t *testing.T) {
	i := newIssuer(t)
	s := open(t, i)
	ended, err := s.HearLogout(told(t, url.Values{"iss": {i.URL}, "sid": {"there-1"}}, nil), "")
	if want := (signin.Ended{IssuerSession: "there-1"}); err != nil || ended != want {
		t.Errorf("%+v, %v", ended, err)
	}
	for name, q := range map[string]url.Values{"no session": {"iss": {i.URL}}, "two": {"iss": {i.URL}, "sid": {"a", "b"}}} {
		if ended, err := s.HearLogout(told(t, q, nil), ""); !errors.Is(err, signin.ErrRefused) {
			t.Errorf("%s: %+v, %v", name, ended, err)
		}
	}
	if ended, err := s.HearLogout(told(t, url.Values{"iss": {"https://login.example.gov"}, "sid": {"a"}}, nil), ""); !errors.Is(err, signin.ErrNobody) {
		t.Errorf("another issuer: %+v, %v", ended, err)
	}
}

func TestStrangersTokensDoNotHaveTheKeysReadAtTheirPace(t *testing.T) {
	i := newIssuer(t)
	s := open(t, i)
	stranger := rsaKey(t)
	for range 10 {
		raw := sign(t, jose.RS256, stranger, "unknown", map[string]any{"iss": i.URL, "aud": client})
		if ended, err := s.HearLogout(told(t, nil, url.Values{"logout_token": {raw}}), ""); !errors.Is(err, signin.ErrRefused) {
			t.Fatalf("%+v, %v", ended, err)
		}
	}
	if i.mu.Lock(); i.keyReads > 1 {
		t.Errorf("the keys were read %d times", i.keyReads)
	}
	i.mu.Unlock()
}
