package oidc_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// issuer is an OpenID provider of the test's own, which can be made to lie.
type issuer struct {
	URL string
	t   testing.TB

	mu         sync.Mutex
	key        *ecdsa.PrivateKey
	keyID      string
	challenges map[string]string // code to PKCE challenge
	nonces     map[string]string
	claims     map[string]any                        // beside the usual ones
	sign       func(claims map[string]any) string    // instead of the key
	discovery  map[string]any                        // beside the usual document
	token      func(http.ResponseWriter, url.Values) // instead of the endpoint
	keys       func(http.ResponseWriter)             // instead of the keys, with mu held
	userInfo   map[string]any
	tokenCalls int
	keyReads   int
}

func newIssuer(t testing.TB) *issuer {
	t.Helper()
	i := &issuer{t: t, challenges: map[string]string{}, nonces: map[string]string{}, claims: map[string]any{}, discovery: map[string]any{}}
	i.roll("first")
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", i.serveDiscovery)
	mux.HandleFunc("GET /keys", i.serveKeys)
	mux.HandleFunc("POST /token", i.serveToken)
	mux.HandleFunc("GET /userinfo", func(w http.ResponseWriter, _ *http.Request) { reply(w, i.userInfo) })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	i.URL = server.URL
	return i
}

func reply(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(value)
}

// roll gives the issuer another key.
func (i *issuer) roll(id string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		i.t.Fatal(err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.key, i.keyID = key, id
}

func (i *issuer) serveDiscovery(w http.ResponseWriter, _ *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	document := map[string]any{
		"issuer": i.URL, "authorization_endpoint": i.URL + "/authorize", "token_endpoint": i.URL + "/token", "jwks_uri": i.URL + "/keys",
		"userinfo_endpoint": i.URL + "/userinfo", "id_token_signing_alg_values_supported": []string{"ES256", "RS256", "HS256", "none"},
		"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
	}
	maps.Copy(document, i.discovery)
	reply(w, document)
}

func (i *issuer) serveKeys(w http.ResponseWriter, _ *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keyReads++
	if i.keys != nil {
		i.keys(w)
		return
	}
	reply(w, i.publishedNow())
}

func (i *issuer) publishedNow() jose.JSONWebKeySet {
	return jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: i.key.Public(), KeyID: i.keyID, Algorithm: "ES256", Use: "sig"}}}
}

func (i *issuer) published() jose.JSONWebKeySet {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.publishedNow()
}

func (i *issuer) serveToken(w http.ResponseWriter, r *http.Request) {
	r.ParseForm()
	i.mu.Lock()
	defer i.mu.Unlock()
	i.tokenCalls++
	if i.token != nil {
		i.token(w, r.PostForm)
		return
	}
	code := r.PostForm.Get("code")
	verifier := sha256.Sum256([]byte(r.PostForm.Get("code_verifier")))
	if i.challenges[code] == "" || base64.RawURLEncoding.EncodeToString(verifier[:]) != i.challenges[code] {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		reply(w, map[string]string{"error": "invalid_grant"})
		return
	}
	delete(i.challenges, code)
	now := time.Now()
	claims := map[string]any{
		"iss": i.URL, "aud": client, "sub": "subject-1", "nonce": i.nonces[code], "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(),
		"preferred_username": "joe", "name": "Joe Bloggs", "email": "joe@county.test", "groups": []string{"clerks"}, "auth_time": now.Unix(),
		"amr": []string{"pwd", "otp"}, "sid": "there-1",
	}
	maps.Copy(claims, i.claims)
	maps.DeleteFunc(claims, func(_ string, value any) bool { return value == nil })
	reply(w, map[string]any{"access_token": "access", "token_type": "Bearer", "expires_in": 60, "id_token": i.signed(claims)})
}

func (i *issuer) signed(claims map[string]any) string {
	if i.sign != nil {
		return i.sign(claims)
	}
	return sign(i.t, jose.ES256, i.key, i.keyID, claims)
}

func sign(t testing.TB, algorithm jose.SignatureAlgorithm, key any, keyID string, claims map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, (&jose.SignerOptions{}).WithHeader("kid", keyID))
	if err != nil {
		t.Fatal(err)
	}
	text, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// unsigned is a token whose algorithm is `none`.
func unsigned(claims map[string]any) string {
	payload, _ := json.Marshal(claims)
	return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + base64.RawURLEncoding.EncodeToString(payload) + "."
}

// authorize is what a person does there: location is where the browser was
// sent, the result what it brings back.
func (i *issuer) authorize(location string) url.Values {
	i.t.Helper()
	u, err := url.Parse(location)
	if err != nil || !strings.HasPrefix(location, i.URL+"/authorize?") {
		i.t.Fatalf("sent to %s, %v", location, err)
	}
	q := u.Query()
	if q.Get("code_challenge_method") != "S256" || q.Get("response_type") != "code" || len(q.Get("state")) < 22 || len(q.Get("nonce")) < 22 {
		i.t.Fatalf("asked for with %v", q)
	}
	code := rand.Text()
	i.mu.Lock()
	defer i.mu.Unlock()
	i.challenges[code], i.nonces[code] = q.Get("code_challenge"), q.Get("nonce")
	return url.Values{"code": {code}, "state": {q.Get("state")}, "iss": {i.URL}}
}

func rsaKey(t testing.TB) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}
