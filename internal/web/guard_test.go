package web

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

const sessionBinding = "session-1"

func testGuard() *Guard {
	return &Guard{Site: testSite(), MAC: testMAC, Now: func() time.Time { return noon }}
}

// change is a POST with token, read as handlers read it.
func change(t *testing.T, token string, headers map[string]string) *http.Request {
	t.Helper()
	body := url.Values{"csrf_token": {token}}.Encode()
	r := httptest.NewRequest("POST", "https://portal.example.gov/.stepgate/sign-out", strings.NewReader(body))
	r.Header.Set("Content-Type", formType)
	for name, value := range headers {
		r.Header.Set(name, value)
	}
	if _, err := ReadForm(httptest.NewRecorder(), r); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestGuardBelievesOnlyItsOrigin(t *testing.T) {
	const ours = "https://portal.example.gov"
	tests := []struct {
		name    string
		headers map[string]string
		allowed bool
	}{
		{"neither header", nil, false},
		{"fetch site same-origin", map[string]string{"Sec-Fetch-Site": "same-origin"}, true},
		{"fetch site same-site", map[string]string{"Sec-Fetch-Site": "same-site", "Origin": ours}, false},
		{"fetch site cross-site", map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": ours}, false},
		{"fetch site none", map[string]string{"Sec-Fetch-Site": "none", "Origin": ours}, false},
		{"fetch site in other letters", map[string]string{"Sec-Fetch-Site": "Same-Origin"}, false},
		{"origin ours", map[string]string{"Origin": ours}, true},
		{"origin null", map[string]string{"Origin": "null"}, false},
		{"origin empty", map[string]string{"Origin": ""}, false},
		{"origin by http", map[string]string{"Origin": "http://portal.example.gov"}, false},
		{"origin of another port", map[string]string{"Origin": ours + ":8443"}, false},
		{"origin that begins like ours", map[string]string{"Origin": ours + ".evil.example"}, false},
		{"origin with a slash", map[string]string{"Origin": ours + "/"}, false},
		{"referer is no origin", map[string]string{"Referer": ours + "/x"}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := testGuard()
			err := g.Check(change(t, g.Token(sessionBinding), tt.headers), sessionBinding)
			if tt.allowed != (err == nil) {
				t.Errorf("error %v", err)
			}
			if !tt.allowed && !errors.Is(err, ErrCrossSite) {
				t.Errorf("error %v, want ErrCrossSite", err)
			}
		})
	}
}

func TestGuardRefusesRepeatedHeaders(t *testing.T) {
	g := testGuard()
	for _, name := range []string{"Sec-Fetch-Site", "Origin"} {
		r := change(t, g.Token(sessionBinding), nil)
		good := map[string]string{"Sec-Fetch-Site": "same-origin", "Origin": g.Site.Origin}[name]
		r.Header[name] = []string{good, good}
		if err := g.Check(r, sessionBinding); !errors.Is(err, ErrCrossSite) {
			t.Errorf("%s twice: %v", name, err)
		}
	}
}

func TestGuardWithoutAnOriginBelievesNone(t *testing.T) {
	g := testGuard()
	g.Site.Origin = ""
	r := change(t, g.Token(sessionBinding), map[string]string{"Origin": ""})
	if err := g.Check(r, sessionBinding); !errors.Is(err, ErrCrossSite) {
		t.Error(err)
	}
}

func TestGuardRefusesTokens(t *testing.T) {
	g := testGuard()
	good := g.Token(sessionBinding)
	altered := func(at int) string {
		raw, err := base64.RawURLEncoding.DecodeString(good)
		if err != nil {
			t.Fatal(err)
		}
		raw[at] ^= 1
		return base64.RawURLEncoding.EncodeToString(raw)
	}
	aged := func(age time.Duration) string {
		old := *g
		old.Now = func() time.Time { return noon.Add(-age) }
		return old.Token(sessionBinding)
	}
	otherKey := *g
	otherKey.MAC = func(purpose string, parts ...[]byte) []byte { return testMAC(purpose+"2", parts...) }
	tests := []struct {
		name, token, binding string
		want                 error
	}{
		{"its own", good, sessionBinding, nil},
		{"almost a day old", aged(24*time.Hour - time.Second), sessionBinding, nil},
		{"a day old", aged(24 * time.Hour), sessionBinding, ErrOldForm},
		{"from a clock a minute ahead", aged(-time.Minute), sessionBinding, nil},
		{"from the future", aged(-2 * time.Minute), sessionBinding, ErrToken},
		{"missing", "", sessionBinding, ErrToken},
		{"another session's", g.Token("session-2"), sessionBinding, ErrToken},
		{"made for nobody", g.Token(""), "", ErrToken},
		{"another session's and a day old", aged(24 * time.Hour), "session-2", ErrToken},
		{"made under another key", otherKey.Token(sessionBinding), sessionBinding, ErrToken},
		{"altered time", altered(0), sessionBinding, ErrToken},
		{"altered salt", altered(tokenStampBytes), sessionBinding, ErrToken},
		{"altered MAC", altered(tokenHeadBytes), sessionBinding, ErrToken},
		{"cut", good[:len(good)-4], sessionBinding, ErrToken},
		{"head alone", base64.RawURLEncoding.EncodeToString(make([]byte, tokenHeadBytes)), sessionBinding, ErrToken},
		{"no base64", "!!!", sessionBinding, ErrToken},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := g.Check(change(t, tt.token, map[string]string{"Sec-Fetch-Site": "same-origin"}), tt.binding)
			if !errors.Is(err, tt.want) {
				t.Errorf("error %v", err)
			}
		})
	}
	if good == g.Token(sessionBinding) {
		t.Error("two tokens are the same")
	}
}

func TestGuardWantsPOSTAndAReadForm(t *testing.T) {
	g := testGuard()
	for _, method := range []string{"GET", "HEAD", "PUT", "DELETE"} {
		r := httptest.NewRequest(method, "/?csrf_token="+g.Token(sessionBinding), nil)
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		if err := g.Check(r, sessionBinding); !errors.Is(err, ErrNotPost) {
			t.Errorf("%s: %v", method, err)
		}
	}
	r := httptest.NewRequest("POST", "/?csrf_token="+g.Token(sessionBinding), nil)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if err := g.Check(r, sessionBinding); !errors.Is(err, ErrToken) {
		t.Errorf("token of the query: %v", err)
	}
}

func TestVisitGivesABrowserOneBinding(t *testing.T) {
	for _, secure := range []bool{true, false} {
		g := testGuard()
		g.Site.SecureCookies = secure
		w := httptest.NewRecorder()
		r := httptest.NewRequest("GET", "/", nil)
		first := g.Visit(w, r)
		if again := g.Visit(w, r); again != first {
			t.Error("second call in a request gave another binding")
		}
		set := w.Result().Cookies()
		if len(set) != 1 {
			t.Fatalf("cookies %v", set)
		}
		c := set[0]
		want := map[bool]string{true: "__Host-stepgate_visit", false: "stepgate_visit"}[secure]
		if c.Name != want || c.Secure != secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || c.MaxAge != 0 {
			t.Errorf("cookie %v", c)
		}
		if len(first) < 22 {
			t.Errorf("binding %q is shorter than 128 bits", first)
		}

		w, r = httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil)
		r.AddCookie(c)
		if again := g.Visit(w, r); again != first || len(w.Result().Cookies()) != 0 {
			t.Error("a browser that has a visit got another")
		}
	}
}

func TestVisitReplacesWhatItDidNotMake(t *testing.T) {
	g := testGuard()
	for _, cookie := range []string{
		"__Host-stepgate_visit=", "__Host-stepgate_visit=short", "__Host-stepgate_visit=" + strings.Repeat("A", 4000),
		"stepgate_visit=AAAAAAAAAAAAAAAAAAAAAA", // the plain name counts for nothing on https
	} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Cookie", cookie)
		if g.Visit(w, r); len(w.Result().Cookies()) != 1 {
			t.Errorf("%.40s was kept", cookie)
		}
	}
}

func TestTokenOutlivesARotationOfTheKey(t *testing.T) {
	mac := func(key byte) func(string, ...[]byte) []byte {
		return func(purpose string, parts ...[]byte) []byte {
			sum := sha256.Sum256(bytes.Join(append([][]byte{{key}, []byte(purpose)}, parts...), []byte{0}))
			return sum[:]
		}
	}
	g := &Guard{Site: &Site{Origin: "https://portal.example.gov"}, MAC: mac(1), Now: time.Now}
	token := g.Token("session a")
	g.MAC = mac(2)
	g.Verify = func(purpose string, sum []byte, parts ...[]byte) bool {
		return bytes.Equal(sum, mac(1)(purpose, parts...)) || bytes.Equal(sum, mac(2)(purpose, parts...))
	}
	if g.holds(token, "session a") != nil || g.holds(g.Token("session a"), "session a") != nil {
		t.Error("a token of an earlier key does not hold")
	}
	if g.holds(token, "session b") == nil {
		t.Error("a token holds for another binding")
	}
}
