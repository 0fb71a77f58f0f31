package caddymodule

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/internal/session"
)

func TestGoodLoginAtTheAppMakesASession(t *testing.T) {
	g := startGateway(t, officeSite, &office{})
	b := g.browser()
	b.get("/reports/7?q=a%20b&x=2").want(200, "/login.php")
	if b.signedIn() {
		t.Fatal("signed in before the login")
	}
	answer := b.still().atOffice("joe", officePasswords["joe"])
	if answer.status != 302 || answer.header.Get("Location") != "/home.php" {
		t.Errorf("the app's answer came as %d to %s", answer.status, answer.header.Get("Location"))
	}
	// The app leads home; from there the gateway leads back.
	b.get("/home.php").want(200, "/reports/7?q=a%20b&x=2").wantBody(`as "joe" at /reports/7`)
	b.get("/home.php").want(200, "/home.php")
	got := g.last()
	if got.Header.Get("Remote-User") != "joe" || strings.Contains(got.Header.Get("Cookie"), "stepgate") {
		t.Errorf("the app was told %v", got.Header)
	}
}

func TestBadLoginAtTheAppMakesNone(t *testing.T) {
	for name, app := range map[string]*office{
		"shows the form": {}, "redirects": {turnsAway: true}, "sets a cookie": {hands: true}, "redirects and sets a cookie": {turnsAway: true, hands: true},
	} {
		t.Run(name, func(t *testing.T) {
			g := startGateway(t, officeSite, app)
			b := g.browser()
			b.get("/login.php")
			b.atOffice("joe", "wrong")
			if b.signedIn() {
				t.Error("signed in with a wrong password")
			}
			b.get("/").want(200, "/login.php")
		})
	}
}

func TestFailedLoginThatRedirectsHomeIsNoSign(t *testing.T) {
	// Nothing is said of what a good answer looks like but the identity.
	site := officeVariant("success status 302 303", "", "success location !/login*", "", `failure body "Invalid password"`, "")
	app := &office{turnsAway: true}
	g := startGateway(t, site, app)
	b := g.browser()
	b.put(officeCookie, app.direct(t, "ann")) // stolen from ann
	b.atOffice("ann", "wrong")
	if b.signedIn() {
		t.Error("a stolen cookie and a wrong password made a session")
	}
}

func TestSensitivePathAsksForTheSecondFactor(t *testing.T) {
	g := startGateway(t, officeSite, &office{})
	b := g.browser()
	b.signInAtOffice("joe").want(200, "/home.php")
	b.enrol(b.get("/cases/1").atEnrolment()).want(200, "/cases/1").wantBody(`as "joe"`)
	second := g.browser()
	second.secret, second.used = b.secret, b.used
	second.get("/cases/2")
	p := second.atOffice("joe", officePasswords["joe"]).at("/challenge/totp")
	second.submit(p, "code", map[string]string{"code": second.code()}).want(200, "/cases/2").wantBody(`as "joe"`)
}

func TestSignOutInTheAppEndsTheSession(t *testing.T) {
	g := startGateway(t, officeSite, &office{})
	b := g.browser()
	b.signInAtOffice("joe").want(200, "/home.php")
	held := b.cookie(g.sessionCookie())
	b.get("/logout.php")
	if b.signedIn() {
		t.Error("still signed in")
	}
	b.put(g.sessionCookie(), held)
	if b.signedIn() {
		t.Error("the old cookie is good for a session")
	}
}

func TestSignInPageLeadsToTheApp(t *testing.T) {
	g := startGateway(t, officeSite, &office{})
	g.browser().get("/.stepgate/sign-in").want(200, "/login.php")
}

func TestAcceptedAnswerThatShowsAPageWaitsForItsLevels(t *testing.T) {
	site := officeVariant("success status 302 303", "success status 200", "success location !/login*", "", "default signed_in", "require mfa /login.php\n\t\t\tdefault signed_in")
	g := startGateway(t, site, &office{shows: true})
	b := g.browser()
	b.get("/login.php")
	p := b.atOffice("joe", officePasswords["joe"]).atEnrolment()
	if strings.Contains(p.body, "here is everything") {
		t.Error("the page was shown before its levels were met")
	}
	b.enrol(p).want(200, "/login.php")

	// Where the levels are met it is shown as it is.
	g.load(officeVariant("success status 302 303", "success status 200", "success location !/login*", ""))
	b = g.browser()
	b.get("/login.php")
	b.atOffice("joe", officePasswords["joe"]).want(200, "/login.php").wantBody("here is everything")
}

func TestExemptPathsAreExact(t *testing.T) {
	g := startGateway(t, officeSite, &office{})
	b := g.browser().still()
	for _, target := range []string{
		"/login.php/x", "/Login.php", "/login.php;x", "/login.php?next=/", "/%6cogin.php", "/login.php%20", "/login", "/logout.php/", "/logout.php?x",
	} {
		g.last()
		p := b.get(target)
		if p.status == 200 || g.last() != nil {
			t.Errorf("%s: %d, and the app saw it", target, p.status)
		}
	}
	for _, change := range []func(*http.Request){
		func(r *http.Request) { r.Method = "PUT" },
		func(r *http.Request) { r.Header.Set("X-HTTP-Method-Override", "DELETE") },
	} {
		g.last()
		if p := b.get("/login.php", change); p.status == 200 || g.last() != nil {
			t.Errorf("%d, and the app saw it", p.status)
		}
	}
}

func TestWrongPasswordsAtTheAppAreThrottled(t *testing.T) {
	g := startGateway(t, officeSite, &office{})
	b := g.browser()
	b.get("/login.php")
	for i := range 10 {
		if p := b.atOffice("joe", "wrong"); p.status != 200 {
			t.Fatalf("try %d: %d", i, p.status)
		}
	}
	g.last()
	p := b.atOffice(" Joe", officePasswords["joe"])
	if p.status != 429 || p.header.Get("Retry-After") == "" || g.last() != nil {
		t.Errorf("%d after ten wrong passwords, want 429", p.status)
	}
	b.atOffice("ann", officePasswords["ann"]).want(200, "/home.php")
}

func TestWithoutIdentityOnlyExistingAccountsSignIn(t *testing.T) {
	site := officeVariant(`identity probe /profile.php "Signed in as <b>(.+?)</b>"`, "")
	g := startGateway(t, site, &office{})
	g.addUser("joe", ofSource("legacy_form"))
	b := g.browser()
	b.signInAtOffice("joe").want(200, "/home.php").wantBody(`as "joe"`)
	stranger := g.browser()
	stranger.get("/login.php")
	before := stranger.cookie(officeCookie)
	if p := stranger.atOffice("ann", officePasswords["ann"]); p.status != 403 || stranger.signedIn() {
		t.Errorf("somebody without an account got %d", p.status)
	}
	if stranger.cookie(officeCookie) != before {
		t.Error("the app's cookie left, and no session has it")
	}
}

func TestLoginWithoutANewCookieNeedsTheIdentity(t *testing.T) {
	site := officeVariant(`identity probe /profile.php "Signed in as <b>(.+?)</b>"`, "")
	g := startGateway(t, site, &office{keeps: true})
	g.addUser("joe", ofSource("legacy_form"))
	b := g.browser()
	b.signInAtOffice("joe")
	if b.signedIn() {
		t.Error("an answer without any sign made a session")
	}
}

func ofSource(name string) func(*people.NewAccount) {
	return func(n *people.NewAccount) { n.Source, n.Password = name, nil }
}

func readCloser(s string) io.ReadCloser { return io.NopCloser(strings.NewReader(s)) }

// sessionCookie is the name of the gateway's.
func (g *rig) sessionCookie() string {
	at, err := url.Parse(g.url)
	if err != nil {
		g.t.Fatal(err)
	}
	return session.CookieName(false, at.Port())
}

func TestLoginsAtTheAppAreInTheTrail(t *testing.T) {
	g := startGateway(t, officeSite, &office{})
	b := g.browser()
	b.get("/login.php")
	b.atOffice("joe", "wrong")
	b.signInAtOffice("joe").want(200, "/home.php")
	b.get("/logout.php")
	all, err := active.Load().store.Events(t.Context(), audit.Query{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[audit.Name]int{}
	for _, e := range all {
		seen[e.Name]++
		if e.Name == audit.UserCreated && e.Actor != "gateway" {
			t.Errorf("the account was made by %s", e.Actor)
		}
	}
	for _, want := range []audit.Name{audit.LoginFail, audit.UserCreated, audit.LoginSuccess, audit.SessionLogout} {
		if seen[want] != 1 {
			t.Errorf("%s is there %d times", want, seen[want])
		}
	}
}

func TestLegacyFormMistakesAreNamed(t *testing.T) {
	g := startGateway(t, officeSite, &office{})
	for _, row := range []struct{ old, new, want string }{
		{"submit POST /login.php", "submit POST login.php", "submit: expected a path"},
		{"submit POST /login.php", "submit POST /login.php form user", "expected `form FIELD VALUE`"},
		{"username_field user", "usernam_field user", "did you mean `username_field`?"},
		{"username_field user", "", "username_field: say which field has the name"},
		{"success status 302 303", "success statsu 302", "did you mean `status`?"},
		{"success status 302 303", "success status found", "found: expected a status"},
		{"success location !/login*", "success location home", "home: expected a path"},
		{`failure body "Invalid password"`, `failure body "("`, "missing closing )"},
		{"session_cookie OFFICESESS", "session_cookie *", "not the name of a cookie"},
		{"identity probe /profile.php", "identity prob /profile.php", "did you mean `probe`?"},
		{"Signed in as <b>(.+?)</b>", "Signed in", "expected one group"},
		{"login_page /login.php", "", "login_page: say where the form is"},
		{"login_page /login.php", "login_page /login.php\n\t\t\tseal_cookies yes", "unexpected `yes`"},
		{"policy {", "sign_in legacy_form other {\n\t\t\tsubmit POST /l\n\t\t\tusername_field u\n\t\t\tpassword_field p\n\t\t\tsuccess status 302\n\t\t\tsession_cookie S\n\t\t\tlogin_page /l\n\t\t}\n\t\tpolicy {", "give other a site of its own"},
	} {
		err := g.tryLoad(officeVariant(row.old, row.new))
		if err == nil || !strings.Contains(err.Error(), row.want) || !strings.Contains(err.Error(), "Caddyfile:") {
			t.Errorf("%s: %v, want %s", row.new, err, row.want)
		}
	}
}
