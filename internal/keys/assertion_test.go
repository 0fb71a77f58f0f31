package keys

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/go-cmp/cmp"
)

type claims struct {
	Subject string `json:"sub"`
	Expiry  int64  `json:"exp"`
}

var joe = claims{Subject: "JOE", Expiry: 60}

func sign(t testing.TB, r *Ring) string {
	t.Helper()
	token, err := r.SignAssertion(joe)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// check verifies a token as an upstream would: with nothing but the JWKS.
func check(t *testing.T, jwks []byte, token string) (claims, error) {
	t.Helper()
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(jwks, &set); err != nil {
		t.Fatal(err)
	}
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return claims{}, err
	}
	var got claims
	err = parsed.Claims(set, &got)
	return got, err
}

func TestAssertionsVerifyThroughTheJWKS(t *testing.T) {
	r, path := create(t)
	first := sign(t, r)
	rotate(t, r, path)
	second := sign(t, r)
	for name, ring := range map[string]*Ring{"the same ring": r, "a restart, another node": load(t, path)} {
		for _, token := range []string{first, second, sign(t, ring)} {
			if got, err := check(t, ring.JWKS(), token); err != nil || got != joe {
				t.Errorf("%s: %+v, %v", name, got, err)
			}
		}
	}
	other, _ := create(t)
	if _, err := check(t, other.JWKS(), first); err == nil {
		t.Error("another ring's keys verify")
	}
	if _, err := check(t, r.JWKS(), first[:len(first)-8]+"AAAAAAAA"); err == nil {
		t.Error("an altered signature verifies")
	}
}

func TestAssertionsNameTypeAlgorithmAndKey(t *testing.T) {
	r, _ := create(t)
	head, _, _ := strings.Cut(sign(t, r), ".")
	raw, err := base64.RawURLEncoding.DecodeString(head)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]string
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"alg": "ES256", "typ": "JWT", "kid": r.List()[0].ID}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestJWKSHoldsPublicKeysOnlyAndStaysTheSame(t *testing.T) {
	r, path := create(t)
	rotate(t, r, path)
	jwks := r.JWKS()
	if again := load(t, path).JWKS(); !bytes.Equal(jwks, again) {
		t.Errorf("%s\n%s", jwks, again)
	}
	jwks[0] = 'x'
	if r.JWKS()[0] != '{' {
		t.Error("a caller can change the ring's bytes")
	}
	var set struct{ Keys []map[string]string }
	if err := json.Unmarshal(r.JWKS(), &set); err != nil {
		t.Fatal(err)
	}
	for i, k := range set.Keys {
		delete(k, "x")
		delete(k, "y")
		want := map[string]string{"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": r.List()[i].ID}
		if diff := cmp.Diff(want, k); diff != "" {
			t.Error(diff)
		}
	}
}

func TestSignAssertionRefusesClaimsThatAreNoJSON(t *testing.T) {
	r, _ := create(t)
	if token, err := r.SignAssertion(func() {}); err == nil || token != "" {
		t.Errorf("%q, %v", token, err)
	}
}

// A ring is used by every request while it is rotated.
func TestRingIsUsedWhileItRotates(t *testing.T) {
	r, path := create(t)
	stop := make(chan struct{})
	var users sync.WaitGroup
	for range 4 {
		users.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if got, err := r.Open("p", seal(t, r, "p", "x", ""), nil); err != nil || string(got) != "x" {
					t.Errorf("%q, %v", got, err)
				}
				if !r.VerifyMAC("p", r.MAC("p", []byte("x")), []byte("x")) {
					t.Error("a MAC does not verify")
				}
				token := sign(t, r)
				if _, err := check(t, r.JWKS(), token); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 10 {
		rotate(t, r, path)
	}
	close(stop)
	users.Wait()
}

func BenchmarkSignAssertion(b *testing.B) {
	r, _ := create(b)
	b.ReportAllocs()
	for b.Loop() {
		sign(b, r)
	}
}
