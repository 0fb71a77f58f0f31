package oidc_test

import (
	"crypto/rand"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/stepgate/stepgate/internal/signin"
	"github.com/stepgate/stepgate/internal/signin/oidc"
)

const (
	client   = "portal"
	callback = "https://portal.example.gov/.stepgate/oidc"
)

func open(t testing.TB, i *issuer, change ...func(*oidc.Config)) *oidc.Source {
	t.Helper()
	c := oidc.Config{Issuer: i.URL, ClientID: client, ClientSecret: "a secret of the client's, long enough for a MAC", Timeout: 5 * time.Second}
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
		GroupsKnown: true, MayCreate: true,
	}
	if diff := cmp.Diff(want, who); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
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

func TestADiscoveryDocumentOfAnotherIssuerIsNotBelieved(t *testing.T) {
	i := newIssuer(t)
	i.discovery["issuer"] = "https://login.example.gov"
	if _, err := walk(t, open(t, i), i, signin.Departure{}); err == nil || errors.Is(err, signin.ErrRefused) {
		t.Errorf("%v; want a technical error", err)
	}
}

func TestAKeyThatWasReplacedIsFoundAtOnce(t *testing.T) {
	i := newIssuer(t)
	s := open(t, i)
	for _, key := range []string{"first", "second", "third"} {
		if key != "first" {
			i.roll(key)
		}
		if _, err := walk(t, s, i, signin.Departure{}); err != nil {
			t.Errorf("%s key: %v", key, err)
		}
	}
}

// TestKeysThatAreBeingReadAreNotTheLastWord has a token of the new key arrive
// while the old keys are on their way.
func TestKeysThatAreBeingReadAreNotTheLastWord(t *testing.T) {
	i := newIssuer(t)
	s := open(t, i)
	old, reading, goOn := i.published(), make(chan struct{}), make(chan struct{})
	i.keys = func(w http.ResponseWriter) {
		i.keys = nil
		i.mu.Unlock()
		close(reading)
		<-goOn
		i.mu.Lock()
		reply(w, old)
	}
	first := make(chan error)
	go func() {
		_, err := walk(t, s, i, signin.Departure{})
		first <- err
	}()
	<-reading
	i.roll("second")
	second := make(chan error)
	go func() {
		_, err := walk(t, s, i, signin.Departure{})
		second <- err
	}()
	close(goOn)
	if err := errors.Join(<-first, <-second); err != nil {
		t.Error(err)
	}
}

func TestKeysThatCannotBeReadAreNoRefusal(t *testing.T) {
	i := newIssuer(t)
	s := open(t, i)
	i.keys = func(w http.ResponseWriter) { http.Error(w, "down", http.StatusBadGateway) }
	if _, err := walk(t, s, i, signin.Departure{}); err == nil || errors.Is(err, signin.ErrRefused) {
		t.Errorf("%v; want a technical error", err)
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
