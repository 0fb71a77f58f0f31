package challenge

import (
	"context"
	"errors"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/signin"
	"github.com/stepgate/stepgate/policy"
)

// rigIssuer sends browsers to an address that does not exist, and believes
// whoever brings the key of a departure and the name of a person as `code`.
type rigIssuer struct {
	name string
	down bool
	last signin.Departure
}

func (i *rigIssuer) Name() string { return i.name }

func (i *rigIssuer) Depart(_ context.Context, d signin.Departure) (string, []byte, error) {
	if i.down {
		return "", nil, errors.New("the issuer is down")
	}
	i.last = d
	return "https://issuer.example/authorize?state=" + d.Key, []byte("state of " + d.Key), nil
}

func (i *rigIssuer) Arrive(_ context.Context, r signin.Return) (signin.Identity, error) {
	switch {
	case i.down:
		return signin.Identity{}, errors.New("the issuer is down")
	case string(r.State) != "state of "+r.Query.Get("state") || r.Query.Get("code") == "":
		return signin.Identity{}, signin.ErrRefused
	}
	return signin.Identity{Source: "local", Username: r.Query.Get("code")}, nil
}

func elsewhereRig(t *testing.T, passwords bool) (*rig, *rigIssuer) {
	issuer := &rigIssuer{name: "county"}
	k := newRig(t, func(k *rig) {
		k.Redirectors = []signin.Redirector{issuer}
		if !passwords {
			k.Passwords = nil
		}
		k.Report = func(string, error) {}
	})
	return k, issuer
}

// back is where the issuer sends the browser.
func back(key, code string) string {
	return "/.stepgate/oidc?" + url.Values{"state": {key}, "code": {code}}.Encode()
}

// arrives opens the page that the issuer leads to, as a browser does that
// comes from another site.
func (b *browser) arrives(target string) sheet {
	r := b.Request(http.MethodGet, target, nil)
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	return b.follow(b.ask(r))
}

func TestTheOnlyWayElsewhereIsTakenAtOnceAndLeadsBack(t *testing.T) {
	k, issuer := elsewhereRig(t, false)
	k.person("joe")
	b := k.browser()
	away := b.open(k.door(b, "/cases/1?q=a%20b", "signed_in"))
	if away.to != "https://issuer.example/authorize?state="+issuer.last.Key+"#" || issuer.last.Callback != rigOrigin+"/.stepgate/oidc" || issuer.last.Fresh {
		t.Fatalf("sent to %s with %+v", away.to, issuer.last)
	}
	home := b.arrives(back(issuer.last.Key, "joe"))
	if home.to != "/cases/1?q=a%20b" || b.visitor() == nil || b.visitor().Owner.Account.Username != "joe" {
		t.Errorf("led to %q as %v", home.to, b.visitor())
	}
	if len(b.Cookies) != 1 {
		t.Errorf("cookies that stay: %v", b.Cookies)
	}
	front := k.browser().open("/.stepgate/sign-in")
	if front.status != http.StatusOK || !strings.Contains(front.text, "Sign in with county") {
		t.Errorf("a page that was opened by itself left for the issuer: %d %q", front.status, front.text)
	}
}

func TestThePageOffersASourceBesideThePassword(t *testing.T) {
	k, issuer := elsewhereRig(t, true)
	k.person("ann")
	b := k.browser()
	page := b.open(k.door(b, "/cases/1", "signed_in"))
	if page.status != http.StatusOK || !strings.Contains(page.text, "Sign in with county") {
		t.Fatalf("%d %q", page.status, page.text)
	}
	if away := b.send(page, map[string]string{"source": "county"}); !strings.HasPrefix(away.to, "https://issuer.example/") {
		t.Fatalf("sent to %q", away.to)
	}
	if home := b.arrives(back(issuer.last.Key, "ann")); home.to != "/cases/1" {
		t.Errorf("led to %q", home.to)
	}
}

func TestAnAnswerCountsOnlyInTheBrowserThatLeft(t *testing.T) {
	k, issuer := elsewhereRig(t, false)
	k.person("joe")
	left, other := k.browser(), k.browser()
	left.open(k.door(left, "/", "signed_in"))
	answer := back(issuer.last.Key, "joe")
	if page := other.arrives(answer); other.visitor() != nil || page.status != http.StatusForbidden {
		t.Errorf("another browser: %d %q", page.status, page.text)
	}
	other.Cookies[departures{k.Site}.departureName(issuer.last.Key)] = "guess"
	if page := other.arrives(answer); other.visitor() != nil || page.status != http.StatusForbidden {
		t.Errorf("another browser with a cookie of its own: %d", page.status)
	}
	k.wait(16 * time.Minute)
	if page := left.fork().arrives(answer); page.status != http.StatusForbidden {
		t.Errorf("a quarter of an hour later: %d", page.status)
	}
	late := k.browser()
	late.open(k.door(late, "/", "signed_in"))
	once := back(issuer.last.Key, "joe")
	if late.arrives(once); late.visitor() == nil {
		t.Fatal("the right browser was not let in")
	}
	late.Cookies = map[string]string{}
	if page := late.arrives(once); page.status != http.StatusForbidden || late.visitor() != nil {
		t.Errorf("the same answer again: %d", page.status)
	}
}

func TestWhoeverTheIssuerRefusesIsTold(t *testing.T) {
	k, issuer := elsewhereRig(t, false)
	b := k.browser()
	b.open(k.door(b, "/cases/1", "signed_in"))
	page := b.arrives(back(issuer.last.Key, "nobody-of-ours"))
	if page.status != http.StatusForbidden || b.visitor() != nil || !strings.Contains(page.text, "have no account here") {
		t.Errorf("no account: %d %q", page.status, page.text)
	}
	if names := k.events(); len(names) == 0 || names[len(names)-1] != audit.LoginFail {
		t.Errorf("events %v", names)
	}
	issuer.down = true
	if page := b.send(page, map[string]string{"source": "county"}); page.status != http.StatusServiceUnavailable || !strings.Contains(page.text, "does not answer") {
		t.Errorf("down: %d %q", page.status, page.text)
	}
}

func TestAFreshPasswordIsTheIssuersToAskFor(t *testing.T) {
	issuer := &rigIssuer{name: "local"} // the source of the rig's accounts
	k := levelRig(t, 10*time.Minute, false, []policy.Factor{policy.Password})
	k.Passwords, k.Redirectors = nil, []signin.Redirector{issuer}
	k.pages = k.Handler()
	k.person("joe")
	k.person("ann")
	b := k.browser()
	b.open(k.door(b, "/", "signed_in"))
	b.arrives(back(issuer.last.Key, "joe"))
	k.wait(11 * time.Minute)
	before := b.visitor().Session.ID
	away := b.open(k.levelDoor(b, "/cases/1", "x0"))
	if !strings.HasPrefix(away.to, "https://issuer.example/") || !issuer.last.Fresh {
		t.Fatalf("led to %q with %+v", away.to, issuer.last)
	}
	other := b.fork()
	if home := b.arrives(back(issuer.last.Key, "joe")); home.to != "/cases/1" || b.visitor().Session.ID != before {
		t.Errorf("led to %q in session %v, before %v", home.to, b.visitor(), before)
	}
	other.arrives(back(issuer.last.Key, "ann"))
	if v := other.visitor(); v != nil && v.Session.ID == before {
		t.Error("somebody else's sign-in went on in joe's session")
	}
}

func TestABrowserIsAwayInAFewTabsOnly(t *testing.T) {
	k, issuer := elsewhereRig(t, false)
	k.person("joe")
	b := k.browser()
	for range 3 * maxDepartures {
		b.open(k.door(b, "/cases/1", "signed_in"))
	}
	n := 0
	for name := range b.Cookies {
		if strings.Contains(name, departureCookie) {
			n++
		}
	}
	if n > maxDepartures {
		t.Errorf("%d cookies of departures", n)
	}
	long := "/cases/1?q=" + strings.Repeat("x", 6000)
	b.open(k.door(b, long, "signed_in"))
	for name, value := range b.Cookies {
		if len(name)+len(value) > 4000 {
			t.Errorf("cookie %s has %d bytes", name, len(value))
		}
	}
	if home := b.arrives(back(issuer.last.Key, "joe")); !strings.Contains(home.text, "is too long for us to remember") {
		t.Errorf("led to %.60q, which says %.500s", home.to, home.text)
	}
	w := httptest.NewRecorder()
	k.pages.ServeHTTP(w, b.Request(http.MethodPost, "/.stepgate/oidc", url.Values{}))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", w.Code)
	}
}

// TestABrowserLeavesByAPageThatPutsItsPlaceAway: programs that follow redirects
// get none, and what a page has put away has a name and nothing else here.
func TestABrowserLeavesByAPageThatPutsItsPlaceAway(t *testing.T) {
	k, issuer := elsewhereRig(t, false)
	k.person("joe")
	b := k.browser()
	door := k.door(b, "/cases/1", "signed_in")
	leave := func(target string) sheet {
		r := b.Request(http.MethodGet, target, nil)
		r.Header.Set("Upgrade-Insecure-Requests", "1")
		return b.ask(r)
	}
	if s := b.open(door); !strings.HasPrefix(s.to, "https://issuer.example/") || !strings.HasSuffix(s.to, "#") {
		t.Errorf("a program is led to %q", s.to)
	}
	page := leave(door)
	onward := html.EscapeString(door + "&place=")
	if page.status != http.StatusOK || !strings.Contains(page.text, `<a class="button" href="`+onward+`" data-leaves="`) ||
		!strings.Contains(page.text, `<noscript><meta http-equiv="refresh" content="0;url=`+onward+`"></noscript>`) {
		t.Fatalf("%d to %q:\n%s", page.status, page.to, page.text)
	}
	const name = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	for place, returns := range map[string]bool{"": false, name: true, name[1:]: false, strings.ToLower(name): false, "<script>" + name[8:]: false} {
		if s := leave(door + "&place=" + url.QueryEscape(place)); !strings.HasPrefix(s.to, "https://issuer.example/") || strings.Contains(strings.ToUpper(s.to), name[8:]) {
			t.Fatalf("with the place %q led to %q", place, s.to)
		}
		here := b.fork()
		home := here.ask(here.Request(http.MethodGet, back(issuer.last.Key, "joe"), nil))
		shows := strings.Contains(home.text, `data-returns="`+place+`"`)
		if shows != returns || !returns && home.to != "/cases/1" {
			t.Errorf("with the place %q: %d to %q\n%s", place, home.status, home.to, home.text)
		}
		if !returns {
			continue
		}
		_, to, _ := strings.Cut(home.text, `<a class="button" href="`)
		to, _, _ = strings.Cut(to, `"`)
		if s := here.open(html.UnescapeString(to)); s.to != "/cases/1" || here.visitor() == nil {
			t.Errorf("from there to %q", s.to)
		}
	}
}

func TestWhatWasProvedElsewhereCountsWhereItIsTrusted(t *testing.T) {
	k, issuer := tellingRig(t)
	issuer.proved = []string{"totp"}
	k.person("joe")
	b := k.browser()
	b.open(k.door(b, "/cases/1", "mfa"))
	if home := b.arrives(back(issuer.last.Key, "joe")); home.to != "/cases/1" {
		t.Errorf("led to %q", home.to)
	}
	issuer.proved = nil
	k.person("ann")
	other := k.browser()
	other.open(k.door(other, "/cases/1", "mfa"))
	if home := other.arrives(back(issuer.last.Key, "ann")); home.to == "/cases/1" {
		t.Error("who proved nothing more is led on")
	}
}

// postingIssuer has the browser post its answer, and posts its answers to
// sign-outs as well.
type postingIssuer struct{ *tellingIssuer }

func (i *postingIssuer) Receive(_ context.Context, _ string, form url.Values) (signin.Answer, error) {
	if form.Get("SAMLResponse") == "signed out" {
		return signin.Answer{}, signin.ErrSignedOut
	}
	return signin.Answer{}, signin.ErrRefused
}

func (i *postingIssuer) Metadata(string) ([]byte, error) { return nil, nil }

// flood is a body without end, which counts what is read of it.
type flood struct{ read int }

func (f *flood) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'A'
	}
	f.read += len(p)
	return len(p), nil
}

// memory is what is in use once nothing is left to collect.
func memory() (m runtime.MemStats) {
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m
}

func TestWhatAnIssuerPostsIsReadWithinBounds(t *testing.T) {
	_, issuer := tellingRig(t)
	k := newRig(t, func(k *rig) {
		k.Redirectors, k.Passwords = []signin.Redirector{&postingIssuer{issuer}}, nil
		k.Report = func(string, error) {}
	})
	post := func(path string, body io.Reader) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, rigOrigin+"/.stepgate"+path, body)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.ContentLength = -1
		w := httptest.NewRecorder()
		k.HearIssuer(path, w, r)
		return w
	}
	for _, path := range []string{"/saml", "/oidc"} {
		endless, before := &flood{}, memory()
		w := post(path, io.MultiReader(strings.NewReader("SAMLResponse="), io.LimitReader(endless, 100<<20)))
		if w.Code != http.StatusBadRequest || endless.read > 2<<20 {
			t.Errorf("%s: 100 MB: %d after %d bytes", path, w.Code, endless.read)
		}
		after := memory()
		if kept, taken := int64(after.HeapAlloc)-int64(before.HeapAlloc), after.TotalAlloc-before.TotalAlloc; kept > 4<<20 || taken > 24<<20 {
			t.Errorf("%s: 100 MB: %d bytes are kept, of %d that it has taken", path, kept, taken)
		}
	}
	just := post("/saml", strings.NewReader("SAMLResponse="+strings.Repeat("A", 1<<20)))
	if just.Code != http.StatusBadRequest {
		t.Errorf("a little more than 1 MiB: %d", just.Code)
	}
	if out := post("/saml", strings.NewReader("SAMLResponse=signed+out")); out.Code != http.StatusSeeOther || out.Header().Get("Location") != "/.stepgate/sign-out" {
		t.Errorf("the answer to a sign-out: %d to %s", out.Code, out.Header().Get("Location"))
	}
}
