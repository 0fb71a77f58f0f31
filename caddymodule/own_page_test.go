package caddymodule

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stepgate/stepgate/internal/legacytest"
)

// basicOffice is an application that asks by itself, with Basic, wherever its
// path is not public.
type basicOffice struct {
	mu        sync.Mutex
	passwords map[string]string
}

func (a *basicOffice) change(name, password string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.passwords[name] = password
}

func (a *basicOffice) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	name, password, ok := r.BasicAuth()
	if r.URL.Path == "/public" {
		fmt.Fprintf(w, "public, as %q", name)
		return
	}
	if !ok || a.passwords[name] != password || r.URL.Path == "/others" {
		w.Header().Set("WWW-Authenticate", `Basic realm="The office"`)
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, "the office asks")
		return
	}
	fmt.Fprintf(w, "the office, as %q", name)
}

const ownPageSite = `{{site}} {
	stepgate {
		sign_in upstream_basic {
			own_page
		}
		enrolment self
		policy {
			public /public
			require mfa /cases/*
			default signed_in
		}
		pages {
			language en cy
		}
	}
	reverse_proxy {{upstream}}
}
`

const annsPassword = "a passphrase: for Ann é"

func basicGateway(t *testing.T) (*rig, *basicOffice) {
	t.Helper()
	app := &basicOffice{passwords: map[string]string{"ann": annsPassword, "bob": "another"}}
	return startGateway(t, ownPageSite, app), app
}

// atOwnPage signs in by the gateway's page.
func (b *browser) atOwnPage(p *page, name, password string) *page {
	b.t.Helper()
	return b.submit(p.want(200, "").at("/sign-in"), "password", map[string]string{"username": name, "password": password})
}

func TestPeopleTypeIntoTheGatewaysPageInPlaceOfTheBox(t *testing.T) {
	g, app := basicGateway(t)
	b := g.browser()
	p := b.get("/letters?x=1").at("/sign-in")
	if p.header["Www-Authenticate"] != nil || strings.Contains(p.body, "data-key") {
		t.Errorf("the page has %q, or asks for a passkey", p.header["Www-Authenticate"])
	}
	b.get("/letters?x=1", func(r *http.Request) { r.Header.Set("Accept-Language", "cy") }).at("/sign-in").wantBody("Cyfrinair")
	if p := b.atOwnPage(p, "ann", "wrong"); p.status != http.StatusForbidden || b.signedIn() {
		t.Fatalf("a wrong password: %d", p.status)
	}
	if p := b.atOwnPage(b.get("/letters?x=1"), "ann:x", "y"); p.status != http.StatusForbidden {
		t.Errorf("a name with a colon: %d", p.status)
	}
	b.atOwnPage(b.get("/letters?x=1"), "ann", annsPassword).want(200, "/letters?x=1").wantBody(`as "ann"`)
	b.get("/public").wantBody(`as "ann"`)
	b.enrol(b.get("/cases/1").atEnrolment()).want(200, "/cases/1").wantBody(`as "ann"`)

	// Scripts of the page get an answer that opens no box.
	stranger := g.browser()
	if p := stranger.get("/letters", fetch); p.status != 401 || !strings.HasPrefix(p.header.Get("WWW-Authenticate"), "Stepgate ") {
		t.Errorf("a script: %d %q", p.status, p.header["Www-Authenticate"])
	}
	// Programs are asked as the application asks, and answer as they did.
	program := func(r *http.Request) {
		for _, name := range []string{"Sec-Fetch-Mode", "Sec-Fetch-Dest", "Sec-Fetch-Site"} {
			r.Header.Del(name)
		}
		r.Header.Set("Accept", "*/*")
	}
	if p := stranger.get("/letters", program); p.status != 401 || p.header.Get("WWW-Authenticate") != `Basic realm="The office"` {
		t.Errorf("a program: %d %q", p.status, p.header["Www-Authenticate"])
	}
	stranger.get("/letters", program, asBasic(legacytest.Account{Username: "bob", Password: "another"})).want(200, "").wantBody(`as "bob"`)

	// A 401 of the application's own opens no box either.
	if p := b.get("/others"); p.status != 401 || p.header["Www-Authenticate"] != nil || !strings.Contains(p.body, "the office asks") || !b.signedIn() {
		t.Errorf("the application's own 401: %d %q", p.status, p.header["Www-Authenticate"])
	}
	// Who changes the password is asked for it.
	app.change("ann", "changed")
	b.atOwnPage(b.get("/letters"), "ann", "changed").want(200, "/letters").wantBody(`as "ann"`)
	b.submit(b.get("/.stepgate/sign-out"), "", nil)
	if b.cookie("stepgate_app") != "" {
		t.Error("the password is there after the sign-out")
	}
	b.get("/letters").at("/sign-in")
}

// TestTheBoxLeadsToWhereSomebodyWasGoing has a page of the gateway's send a
// stranger to the probe, where the application asks.
func TestTheBoxLeadsToWhereSomebodyWasGoing(t *testing.T) {
	app := &basicOffice{passwords: map[string]string{"ann": annsPassword}}
	g := startGateway(t, strings.Replace(ownPageSite, "own_page\n", "probe /letters\n", 1), app)
	ann := asBasic(legacytest.Account{Username: "ann", Password: annsPassword})
	b := g.browser()
	if p := b.get("/.stepgate/account"); p.status != http.StatusUnauthorized || p.url.Path != "/letters" {
		t.Fatalf("%d at %s", p.status, p.url)
	}
	b.get("/letters", ann).want(200, "/.stepgate/account")
	b.get("/letters", ann).want(200, "/letters").wantBody(`as "ann"`)
}

// TestTheSealedPasswordIsOnePersonsInOneSession attacks what the browser holds.
func TestTheSealedPasswordIsOnePersonsInOneSession(t *testing.T) {
	g, _ := basicGateway(t)
	ann, bob := g.browser(), g.browser()
	ann.atOwnPage(ann.get("/letters"), "ann", annsPassword).wantBody(`as "ann"`)
	bob.atOwnPage(bob.get("/letters"), "bob", "another").wantBody(`as "bob"`)
	stolen, own := ann.cookie("stepgate_app"), bob.cookie("stepgate_app")
	if stolen == "" || own == "" {
		t.Fatal("nothing is held")
	}
	thief := g.browser()
	thief.put("stepgate_app", stolen)
	thief.get("/letters").at("/sign-in")
	if strings.Contains(thief.get("/public").body, "ann") {
		t.Error("the sealed password alone names somebody on a public path")
	}
	letter := "A"
	if own[10] == 'A' {
		letter = "B"
	}
	for name, value := range map[string]string{"another's": stolen, "cut": own[:len(own)-4], "none": "", "turned": own[:10] + letter + own[11:]} {
		eve := g.browser()
		eve.atOwnPage(eve.get("/letters"), "bob", "another").wantBody(`as "bob"`)
		eve.put("stepgate_app", value)
		if p := eve.get("/public"); !strings.Contains(p.body, `as ""`) {
			t.Errorf("%s: %s", name, p.body)
		}
		eve.get("/letters").at("/sign-in")
		if eve.signedIn() {
			t.Errorf("%s: the session goes on without a password", name)
		}
	}
	// Another's is worth nothing in the place of one's own, nor after a sign-out.
	ann.submit(ann.get("/.stepgate/sign-out"), "", nil)
	next := g.browser()
	next.atOwnPage(next.get("/letters"), "ann", annsPassword)
	next.get("/letters", func(r *http.Request) {
		r.Header.Set("Cookie", g.sessionCookie()+"="+next.cookie(g.sessionCookie())+"; stepgate_app="+own)
	}).at("/sign-in")
	// Neither the application nor the store nor the log has it.
	if seen := g.everything(); strings.Contains(seen, "stepgate_app") || strings.Contains(seen, stolen) {
		t.Error("the cookie reached the application")
	}
	for _, name := range []string{"stepgate.db", "stepgate.db-wal"} {
		text, err := os.ReadFile(filepath.Join(g.dir, name))
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		for _, secret := range []string{annsPassword, base64.StdEncoding.EncodeToString([]byte("ann:" + annsPassword)), stolen} {
			if strings.Contains(string(text), secret) {
				t.Errorf("%s has the password", name)
			}
		}
	}
}

func TestTheGatewaysPageIsNoWayRoundItsBudgets(t *testing.T) {
	g, _ := basicGateway(t)
	b := g.browser()
	p := b.get("/letters")
	if p := b.do("POST", "/.stepgate/sign-in", url.Values{"username": {"ann"}, "password": {annsPassword}}); p.status != http.StatusForbidden || b.signedIn() {
		t.Errorf("without the form's token: %d", p.status)
	}
	_, form := p.form("password")
	form.Set("username", "ann")
	form.Set("password", annsPassword)
	foreign := func(r *http.Request) {
		r.Header.Set("Origin", "https://elsewhere.example")
		r.Header.Set("Sec-Fetch-Site", "cross-site")
	}
	if p := b.do("POST", "/.stepgate/sign-in", form, foreign); p.status != http.StatusForbidden || b.signedIn() {
		t.Errorf("from another site: %d", p.status)
	}
	for i := range 40 {
		p = b.atOwnPage(b.get("/letters"), "ann", fmt.Sprint("wrong ", i))
		if p.status == http.StatusTooManyRequests {
			break
		}
	}
	if p.status != http.StatusTooManyRequests || p.header.Get("Retry-After") == "" {
		t.Fatalf("40 wrong passwords: %d", p.status)
	}
	// Nor is the header a way round the page.
	if p := g.browser().get("/letters", fetch, asBasic(legacytest.Account{Username: "ann", Password: annsPassword})); p.status != http.StatusTooManyRequests {
		t.Errorf("the same name by header: %d", p.status)
	}
}

// TestTomcatsManagerBehindTheGatewaysPage is the page before a real application.
func TestTomcatsManagerBehindTheGatewaysPage(t *testing.T) {
	g, app := startExample(t, "tomcat-manager", func(o legacytest.Options) *legacytest.App { return legacytest.StartTomcatManager(t, o) },
		func(site string) string { return strings.Replace(site, "cache 5m", "own_page", 1) })
	b := g.browser()
	if p := b.atOwnPage(b.get("/manager/status"), "admin", "not-the-password"); p.status != http.StatusForbidden {
		t.Errorf("a wrong password: %d", p.status)
	}
	b.atOwnPage(b.get("/manager/status"), app.Accounts[0].Username, app.Accounts[0].Password).want(200, "/manager/status").wantBody("Server Status")
	b.enrol(b.get("/manager/html").atEnrolment()).want(200, "/manager/html").wantBody("/manager")
	thief := g.browser()
	thief.atOwnPage(thief.get("/manager/html"), app.Accounts[0].Username, app.Accounts[0].Password).at("/challenge/totp")
}

// TestDigestHasNoPageOfTheGateways: only who has the password can answer it,
// and the gateway keeps none.
func TestDigestHasNoPageOfTheGateways(t *testing.T) {
	if testing.Short() {
		t.Skip("starts Apache")
	}
	app := legacytest.StartApacheDigest(t, legacytest.Options{})
	at, err := url.Parse(app.URL)
	if err != nil {
		t.Fatal(err)
	}
	g := startGateway(t, strings.Replace(digestSite, "probe /index.html", "probe /index.html\n\t\t\town_page", 1), httputil.NewSingleHostReverseProxy(at))
	b := g.browser()
	if p := b.get("/index.html"); p.status != 401 || !strings.HasPrefix(p.header.Get("WWW-Authenticate"), "Digest ") {
		t.Errorf("a stranger gets %d %q", p.status, p.header.Get("WWW-Authenticate"))
	}
	p := b.get("/.stepgate/sign-in")
	if p := b.submit(p, "password", map[string]string{"username": app.Accounts[0].Username, "password": app.Accounts[0].Password}); p.status < 400 || b.signedIn() {
		t.Errorf("the page lets somebody in: %d", p.status)
	}
}
