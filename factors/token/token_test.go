package token_test

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stepgate/stepgate/factors/token"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/policy"
	"github.com/stepgate/stepgate/policy/target"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

func TestATokenIsKeptAsAHashAlone(t *testing.T) {
	bounds := account.TokenBounds{Paths: []string{"/dav/*"}, EndsAt: noon.Add(time.Hour)}
	c, secret, err := token.Factor{}.New("jo", "Script", bounds, noon)
	if err != nil || !strings.HasPrefix(string(secret.Reveal()), token.Prefix) || len(secret) < 30 {
		t.Fatalf("%v, %d characters", err, len(secret))
	}
	if strings.Contains(string(c.Secret.Reveal())+c.Handle+string(c.ID)+c.Label, string(secret.Reveal())) || c.Handle != token.Handle(string(secret.Reveal())) || c.Account != "jo" || c.Factor != "token" {
		t.Errorf("%+v", c)
	}
	if kept, err := token.BoundsOf(c); err != nil || len(kept.Paths) != 1 || !kept.EndsAt.Equal(bounds.EndsAt) {
		t.Errorf("%+v, %v", kept, err)
	}
	if _, other, _ := (token.Factor{}).New("jo", "Script", bounds, noon); string(other.Reveal()) == string(secret.Reveal()) {
		t.Error("two tokens are one")
	}
	for _, wrong := range []account.TokenBounds{{Paths: []string{"/x"}}, {EndsAt: noon}, {Paths: []string{"x"}, EndsAt: noon}, {Paths: []string{"/x?y=z"}, EndsAt: noon}, {Paths: []string{"/x"}, Methods: []string{"GE T"}, EndsAt: noon}} {
		if _, _, err := (token.Factor{}).New("jo", "x", wrong, noon); err == nil {
			t.Errorf("%+v will do", wrong)
		}
	}
}

func TestATokenIsTakenOutOfTheHeader(t *testing.T) {
	basic := func(s string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(s)) }
	for line, want := range map[string]string{
		"Bearer sgt_ABC":            "sgt_ABC",
		"bearer  sgt_ABC":           "sgt_ABC",
		basic("jo:sgt_ABC"):         "sgt_ABC",
		basic("sgt_ABC:"):           "sgt_ABC",
		basic("sgt_ABC"):            "sgt_ABC",
		basic("jo:a password"):      "",
		"Bearer another's":          "",
		"Basic !":                   "",
		"Digest username=\"sgt_A\"": "",
	} {
		header := http.Header{"Authorization": {line}}
		got, found := token.Take(header)
		if got != want || found != (want != "") || (header.Get("Authorization") == "") != found {
			t.Errorf("%s: %q, %v, and %q stays", line, got, found, header.Get("Authorization"))
		}
	}
	header := http.Header{"Authorization": {"Bearer sgt_ABC", "Basic eA=="}}
	if got, found := token.Take(header); got != "" || !found || len(header) > 0 {
		t.Errorf("two at once: %q, %v, %v", got, found, header)
	}
}

func TestBoundsHoldForEveryReading(t *testing.T) {
	reader, err := target.NewReader(target.Options{})
	if err != nil {
		t.Fatal(err)
	}
	scope, err := token.Compile(account.TokenBounds{
		Paths: []string{"/dav/*"}, Methods: []string{"GET", "PROPFIND"}, Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, EndsAt: noon,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		method, target, address string
		claimed                 []string
		after                   time.Duration
		may                     bool
	}{
		{"GET", "/dav/a?b=c", "192.0.2.7", nil, -1, true},
		{"HEAD", "/dav", "192.0.2.7", nil, -1, true},
		{"PROPFIND", "/dav/a", "::ffff:192.0.2.7", nil, -1, true},
		{"PUT", "/dav/a", "192.0.2.7", nil, -1, false},
		{"GET", "/dav/a", "192.0.2.7", []string{"DELETE"}, -1, false},
		{"GET", "/davx", "192.0.2.7", nil, -1, false},
		{"GET", "/other", "192.0.2.7", nil, -1, false},
		{"GET", "//other/dav/a", "192.0.2.7", nil, -1, false},
		{"GET", "/dav%2fa", "192.0.2.7", nil, -1, false},
		{"GET", "/dav/a", "198.51.100.1", nil, -1, false},
		{"GET", "/dav/a", "192.0.2.7", nil, 0, false},
	} {
		read, err := reader.Read(c.target)
		if err != nil {
			if c.may {
				t.Errorf("%s: %v", c.target, err)
			}
			continue
		}
		q := policy.Request{Method: c.method, Target: &read, Claimed: c.claimed}
		if got := scope.Admits(q, netip.MustParseAddr(c.address), noon.Add(c.after)); got != c.may {
			t.Errorf("%+v: %v", c, got)
		}
	}
	if _, err := token.Compile(account.TokenBounds{Paths: []string{"/x"}}); !errors.Is(err, token.ErrEnd) {
		t.Error(err)
	}
}
