package oidc_test

import (
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/stepgate/stepgate/internal/signin"
	"github.com/stepgate/stepgate/internal/signin/oidc"
)

const (
	client   = "portal"
	callback = "https://portal.example.gov/.stepgate/oidc"
)

func open(t testing.TB, i *issuer, change ...func(*oidc.Config)) *oidc.Source {
	t.Helper()
	c := oidc.Config{Issuer: i.URL, ClientID: client, ClientSecret: "a secret of the client's, long enough for a MAC"}
	c.Timeout = 5 * time.Second
	for _, f := range change {
		f(&c)
	}
	s, err := oidc.New("oidc", c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// walk goes to the issuer and comes back.
func walk(t testing.TB, s *oidc.Source, i *issuer, d signin.Departure) (signin.Identity, error) {
	t.Helper()
	d.Callback, d.Key = callback, rand.Text()
	location, state, err := s.Depart(t.Context(), d)
	if err != nil {
		return signin.Identity{}, err
	}
	return s.Arrive(t.Context(), signin.Return{Callback: callback, State: state, Query: i.authorize(location)})
}

func TestSignInReadsThePerson(t *testing.T) {
	i := newIssuer(t)
	who, err := walk(t, open(t, i), i, signin.Departure{Language: "cy"})
	if err != nil {
		t.Fatal(err)
	}
	want := signin.Identity{
		Source: "oidc", Subject: "subject-1", Username: "joe", Name: "Joe Bloggs", Email: "joe@county.test", Groups: []string{"clerks"},
		GroupsKnown: true, MayCreate: true, IssuerSession: "there-1",
	}
	if diff := cmp.Diff(want, who, cmpopts.IgnoreFields(signin.Identity{}, "At", "Note")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if age := time.Since(who.At); age < 0 || age > time.Minute {
		t.Errorf("signed in %s ago", age)
	}
}

func TestWhatTheIssuerSaysOfTheSignInCountsOnlyWhereItIsTrusted(t *testing.T) {
	i := newIssuer(t)
	i.claims["amr"], i.claims["acr"] = []string{"pwd", "otp", "mfa", "hwk"}, "gold"
	for name, row := range map[string]struct {
		trust signin.Trust
		want  []string
	}{
		"nobody":       {nil, nil},
		"plain words":  {signin.StandardTrust(), []string{"totp"}},
		"an acr":       {signin.Trust{"gold": "webauthn"}, []string{"webauthn"}},
		"several ways": {signin.Trust{"gold": "webauthn", "hwk": "webauthn", "mfa": "sms"}, []string{"sms", "webauthn"}},
	} {
		s := open(t, i, func(c *oidc.Config) { c.Trust = row.trust })
		if who, err := walk(t, s, i, signin.Departure{}); err != nil || !slices.Equal(who.Proved, row.want) {
			t.Errorf("%s: %v, %v; want %v", name, who.Proved, err, row.want)
		}
	}
}

func TestARequiredClaimKeepsOthersOut(t *testing.T) {
	i := newIssuer(t)
	s := open(t, i, func(c *oidc.Config) { c.Require = map[string][]string{"hd": {"county.test", "city.test"}} })
	for hd, in := range map[any]bool{"county.test": true, "evil.test": false, nil: false, "": false, "COUNTY.TEST": false} {
		i.claims["hd"] = hd
		if _, err := walk(t, s, i, signin.Departure{}); (err == nil) != in || !in && !errors.Is(err, signin.ErrRefused) {
			t.Errorf("%v: %v", hd, err)
		}
	}
}

func TestAnIssuerThatKnowsNoGroupsTakesNoneAway(t *testing.T) {
	i := newIssuer(t)
	s := open(t, i, func(c *oidc.Config) { c.Claims.Groups = "none" })
	if who, err := walk(t, s, i, signin.Departure{}); err != nil || who.GroupsKnown || who.Groups != nil {
		t.Errorf("%+v, %v", who, err)
	}
}

func TestGroupsThatAreTooManyAreAskedForWhereTheOperatorSays(t *testing.T) {
	i := newIssuer(t)
	var asked *http.Request
	answer := `{"value":["b","a","b"]}`
	graph := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r
		io.WriteString(w, answer)
	}))
	t.Cleanup(graph.Close)
	i.claims["groups"] = nil
	i.claims["_claim_names"] = map[string]string{"groups": "src1"}
	i.claims["_claim_sources"] = map[string]any{"src1": map[string]string{"endpoint": "http://127.0.0.1:1/"}}
	s := open(t, i, func(c *oidc.Config) { c.Overage = graph.URL + "/v1.0/me/getMemberGroups" })
	who, err := walk(t, s, i, signin.Departure{})
	if err != nil || !slices.Equal(who.Groups, []string{"a", "b"}) {
		t.Fatalf("%v, %v", who.Groups, err)
	}
	if asked.Method != http.MethodPost || asked.Header.Get("Authorization") != "Bearer access" {
		t.Errorf("asked with %s %v", asked.Method, asked.Header)
	}
	answer = `{"value":["a"],"@odata.nextLink":"more"}`
	if who, err := walk(t, s, i, signin.Departure{}); err == nil || errors.Is(err, signin.ErrRefused) {
		t.Errorf("some of the groups: %+v, %v", who, err)
	}
}

func TestSigningOutAtTheIssuerComesBack(t *testing.T) {
	i := newIssuer(t)
	i.discovery["end_session_endpoint"] = i.URL + "/end?x=1"
	s := open(t, i)
	who, err := walk(t, s, i, signin.Departure{})
	if err != nil {
		t.Fatal(err)
	}
	location, err := s.SignOut(t.Context(), who.Note, "https://portal.example.gov/.stepgate/sign-out")
	if err != nil {
		t.Fatal(err)
	}
	q := mustQuery(t, location)
	if !strings.HasPrefix(location, i.URL+"/end?") || q.Get("x") != "1" || q.Get("client_id") != client ||
		q.Get("post_logout_redirect_uri") != "https://portal.example.gov/.stepgate/sign-out" || strings.Count(q.Get("id_token_hint"), ".") != 2 {
		t.Errorf("%s", location)
	}
	if location, err := open(t, i, func(c *oidc.Config) { c.KeepSignedIn = true }).SignOut(t.Context(), nil, ""); location != "" || err != nil {
		t.Errorf("keep_signed_in: %s, %v", location, err)
	}
	delete(i.discovery, "end_session_endpoint")
	if location, err := open(t, i).SignOut(t.Context(), nil, ""); location != "" || err != nil {
		t.Errorf("an issuer that has none: %s, %v", location, err)
	}
}

func mustQuery(t *testing.T, address string) url.Values {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query()
}

func TestALyingIssuerSignsNobodyIn(t *testing.T) {
	other := newIssuer(t)
	stranger := rsaKey(t)
	for name, lie := range map[string]func(*issuer){
		"wrong nonce":    func(i *issuer) { i.claims["nonce"] = "another" },
		"no nonce":       func(i *issuer) { i.claims["nonce"] = nil },
		"wrong audience": func(i *issuer) { i.claims["aud"] = "another" },
		"two audiences":  func(i *issuer) { i.claims["aud"] = []string{client, "another"} },
		"another party":  func(i *issuer) { i.claims["azp"] = "another" },
		"wrong issuer":   func(i *issuer) { i.claims["iss"] = other.URL },
		"no subject":     func(i *issuer) { i.claims["sub"] = nil },
		"expired":        func(i *issuer) { i.claims["exp"] = time.Now().Add(-time.Hour).Unix() },
		"of the future":  func(i *issuer) { i.claims["iat"] = time.Now().Add(time.Hour).Unix() },
		"not yet":        func(i *issuer) { i.claims["nbf"] = time.Now().Add(time.Hour).Unix() },
		"another's hash": func(i *issuer) { i.claims["at_hash"] = "AAAAAAAAAAAAAAAAAAAAAA" },
		"not signed":     func(i *issuer) { i.sign = unsigned },
		"another's key": func(i *issuer) {
			i.sign = func(c map[string]any) string { return sign(t, jose.ES256, other.key, "first", c) }
		},
		"unpublished RSA": func(i *issuer) {
			i.sign = func(c map[string]any) string { return sign(t, jose.RS256, stranger, "first", c) }
		},
		"signed with the secret": func(i *issuer) {
			i.sign = func(c map[string]any) string {
				return sign(t, jose.HS256, []byte("a secret of the client's, long enough for a MAC"), "first", c)
			}
		},
		"no token": func(i *issuer) { i.sign = func(map[string]any) string { return "" } },
		"no JWT":   func(i *issuer) { i.sign = func(map[string]any) string { return "a.b.c" } },
		"changed": func(i *issuer) {
			i.sign = func(c map[string]any) string { return tampered(sign(t, jose.ES256, i.key, "first", c)) }
		},
	} {
		i := newIssuer(t)
		s := open(t, i)
		if _, err := walk(t, s, i, signin.Departure{}); err != nil {
			t.Fatalf("%s: before the lie: %v", name, err)
		}
		i.mu.Lock()
		lie(i)
		i.mu.Unlock()
		if who, err := walk(t, s, i, signin.Departure{}); !errors.Is(err, signin.ErrRefused) {
			t.Errorf("%s: %+v, %v; want ErrRefused", name, who, err)
		}
	}
}

// tampered names another subject under the same signature.
func tampered(token string) string {
	parts := strings.Split(token, ".")
	parts[1] = parts[1][:len(parts[1])-6] + "AAAAAA"
	return strings.Join(parts, ".")
}

func TestAnAnswerBelongsToOneDepartureOfOneBrowser(t *testing.T) {
	i, other := newIssuer(t), newIssuer(t)
	s := open(t, i)
	depart := func() (url.Values, []byte) {
		location, state, err := s.Depart(t.Context(), signin.Departure{Callback: callback, Key: rand.Text()})
		if err != nil {
			t.Fatal(err)
		}
		return i.authorize(location), state
	}
	query, state := depart()
	_, foreign := depart()
	with := func(change func(url.Values)) url.Values {
		q := url.Values{}
		for name, values := range query {
			q[name] = slices.Clone(values)
		}
		change(q)
		return q
	}
	for name, r := range map[string]signin.Return{
		"another browser":       {Query: query, State: foreign},
		"a browser of nothing":  {Query: query},
		"no state":              {Query: with(func(q url.Values) { q.Del("state") }), State: state},
		"another issuer's name": {Query: with(func(q url.Values) { q.Set("iss", other.URL) }), State: state},
		"two issuers":           {Query: with(func(q url.Values) { q.Add("iss", other.URL) }), State: state},
		"denied":                {Query: with(func(q url.Values) { q.Set("error", "access_denied") }), State: state},
		"another code":          {Query: with(func(q url.Values) { q.Set("code", "guess") }), State: state},
	} {
		r.Callback = callback
		if who, err := s.Arrive(t.Context(), r); !errors.Is(err, signin.ErrRefused) {
			t.Errorf("%s: %+v, %v; want ErrRefused", name, who, err)
		}
	}
	good := signin.Return{Callback: callback, Query: query, State: state}
	if _, err := s.Arrive(t.Context(), good); err != nil {
		t.Fatal(err)
	}
	if who, err := s.Arrive(t.Context(), good); !errors.Is(err, signin.ErrRefused) {
		t.Errorf("the same answer again: %+v, %v", who, err)
	}
}

func TestAnIssuerThatSaysSoMustNameItself(t *testing.T) {
	i := newIssuer(t)
	i.discovery["authorization_response_iss_parameter_supported"] = true
	s := open(t, i)
	location, state, err := s.Depart(t.Context(), signin.Departure{Callback: callback, Key: rand.Text()})
	if err != nil {
		t.Fatal(err)
	}
	query := i.authorize(location)
	query.Del("iss")
	if who, err := s.Arrive(t.Context(), signin.Return{Callback: callback, State: state, Query: query}); !errors.Is(err, signin.ErrRefused) {
		t.Errorf("%+v, %v", who, err)
	}
}

func TestAFreshSignInIsAskedForAndChecked(t *testing.T) {
	i := newIssuer(t)
	s := open(t, i)
	location, _, err := s.Depart(t.Context(), signin.Departure{Callback: callback, Key: rand.Text(), Fresh: true})
	if err != nil || !strings.Contains(location, "prompt=login") || !strings.Contains(location, "max_age=0") {
		t.Errorf("%s, %v", location, err)
	}
	if _, err := walk(t, s, i, signin.Departure{Fresh: true}); err != nil {
		t.Errorf("signed in anew: %v", err)
	}
	for name, at := range map[string]any{"an hour ago": time.Now().Add(-time.Hour).Unix(), "never said": nil} {
		i.claims["auth_time"] = at
		if _, err := walk(t, s, i, signin.Departure{Fresh: true}); !errors.Is(err, signin.ErrRefused) {
			t.Errorf("%s: %v; want ErrRefused", name, err)
		}
	}
}

func TestAnIssuerThatDoesNotWorkIsNoRefusal(t *testing.T) {
	i := newIssuer(t)
	s := open(t, i, func(c *oidc.Config) { c.Timeout = 300 * time.Millisecond })
	if _, err := walk(t, s, i, signin.Departure{}); err != nil {
		t.Fatal(err)
	}
	for name, answer := range map[string]func(http.ResponseWriter, url.Values){
		"500":     func(w http.ResponseWriter, _ url.Values) { http.Error(w, "down", http.StatusInternalServerError) },
		"slow":    func(w http.ResponseWriter, _ url.Values) { time.Sleep(time.Second) },
		"endless": func(w http.ResponseWriter, _ url.Values) { w.Write([]byte(strings.Repeat("x", 3<<20))) },
	} {
		i.mu.Lock()
		i.token = answer
		i.mu.Unlock()
		if _, err := walk(t, s, i, signin.Departure{}); err == nil || errors.Is(err, signin.ErrRefused) {
			t.Errorf("%s: %v; want a technical error", name, err)
		} else if strings.Contains(err.Error(), "secret of the client") || strings.Contains(err.Error(), "down") {
			t.Errorf("%s: the error has what belongs to nobody: %v", name, err)
		}
	}
}

func TestClaimsAreFoundWhereTheConfigurationSays(t *testing.T) {
	i := newIssuer(t)
	i.claims["realm_access"] = map[string]any{"roles": []string{"b", "a", "b"}}
	i.claims["https://county.test/name"] = "J. Bloggs"
	s := open(t, i, func(c *oidc.Config) {
		c.Claims = oidc.Claims{Groups: "realm_access.roles", Name: "https://county.test/name"}
	})
	who, err := walk(t, s, i, signin.Departure{})
	if err != nil || !slices.Equal(who.Groups, []string{"a", "b"}) || who.Name != "J. Bloggs" {
		t.Errorf("%+v, %v", who, err)
	}
	i.userInfo = map[string]any{"sub": "subject-1", "phone_number": "+447700900101", "name": "not this one"}
	informed := open(t, i, func(c *oidc.Config) { c.UserInfo = true })
	if who, err := walk(t, informed, i, signin.Departure{}); err != nil || who.Mobile != "+447700900101" || who.Name != "Joe Bloggs" {
		t.Errorf("UserInfo: %+v, %v", who, err)
	}
	i.userInfo["sub"] = "subject-2"
	if who, err := walk(t, informed, i, signin.Departure{}); !errors.Is(err, signin.ErrRefused) {
		t.Errorf("UserInfo of somebody else: %+v, %v", who, err)
	}
}

func TestGroupsThatTheIssuerLeftOutSignNobodyIn(t *testing.T) {
	i := newIssuer(t)
	i.claims["groups"] = nil
	i.claims["_claim_names"] = map[string]string{"groups": "src1"}
	i.claims["_claim_sources"] = map[string]any{"src1": map[string]string{"endpoint": "https://graph.example.com/"}}
	if who, err := walk(t, open(t, i), i, signin.Departure{}); !errors.Is(err, oidc.ErrGroupsElsewhere) {
		t.Errorf("%+v, %v", who, err)
	}
}

func TestCheckRefusesWhatWouldLeaveADoorOpen(t *testing.T) {
	for name, c := range map[string]oidc.Config{
		"no issuer":    {ClientID: client},
		"plain http":   {Issuer: "http://login.example.gov", ClientID: client},
		"no client":    {Issuer: "https://login.example.gov"},
		"with a query": {Issuer: "https://login.example.gov?x=1", ClientID: client},
	} {
		if c.Check() == nil {
			t.Errorf("%s: nothing is wrong with it", name)
		}
	}
	if err := (&oidc.Config{Issuer: "https://login.example.gov", ClientID: client}).Check(); err != nil {
		t.Error(err)
	}
}
