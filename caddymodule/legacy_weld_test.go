package caddymodule

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stepgate/stepgate/internal/people"
)

// cookieLine sends exactly this Cookie header beside the gateway's own cookie.
func (b *browser) cookieLine(g *rig, line string) func(*http.Request) {
	own := g.sessionCookie() + "=" + b.cookie(g.sessionCookie())
	b.client = &http.Client{Transport: b.client.Transport, CheckRedirect: b.client.CheckRedirect}
	return func(r *http.Request) { r.Header.Set("Cookie", own+"; "+line) }
}

func TestCookieOfTheAppAloneOpensNothing(t *testing.T) {
	app := &office{}
	g := startGateway(t, officeSite, app)
	joe := g.browser()
	joe.signInAtOffice("joe").want(200, "/home.php")
	stolen := joe.cookie(officeCookie)
	g.everything()

	thief := g.browser()
	thief.put(officeCookie, stolen)
	thief.get("/home.php").want(200, "/login.php")
	thief.put(officeCookie, stolen)
	thief.get("/public/x").want(200, "/public/x").wantBody(`as "" at`)
	thief.get("/public/x;officesess="+stolen).want(403, "")
	thief.get("/public/x?OFFICESESS="+stolen).want(403, "")
	if strings.Contains(g.everything(), stolen+"\n") {
		t.Error("the stolen value reached the app")
	}
	// A cookie from round the gateway is nobody's: it opens no more than what
	// is public.
	thief.put(officeCookie, app.direct(t, "ann"))
	thief.get("/public/x").wantBody(`as "ann" at`)
	thief.get("/home.php").want(200, "/login.php")
}

// everything is what of cookies and targets the app has seen since it was
// last asked, a value a line.
func (g *rig) everything() string {
	var b strings.Builder
	for {
		select {
		case r := <-g.seen:
			b.WriteString(strings.NewReplacer(";", "\n", "=", "\n").Replace(r.Line+"\n"+strings.Join(r.Header["Cookie"], "\n")) + "\n")
		default:
			return b.String()
		}
	}
}

func TestStolenCookieIsWorthNothingAfterTheSession(t *testing.T) {
	g := startGateway(t, officeSite, &office{})
	joe := g.browser()
	joe.signInAtOffice("joe").want(200, "/home.php")
	stolen := joe.cookie(officeCookie)
	p := joe.get("/.stepgate/sign-out")
	joe.submit(p, "", nil)
	thief := g.browser()
	thief.put(officeCookie, stolen)
	thief.get("/public/x").wantBody(`as "" at`)
}

func TestCookieOfSomebodyElseIsWithheldInsideASession(t *testing.T) {
	app := &office{}
	g := startGateway(t, officeSite, app)
	ann := g.browser()
	ann.signInAtOffice("ann").want(200, "/home.php")
	stolen, loose := ann.cookie(officeCookie), app.direct(t, "ann")
	b := g.browser()
	b.signInAtOffice("mallory").want(200, "/home.php")
	mine := b.cookie(officeCookie)
	b = b.still()
	g.everything()
	for _, value := range []string{stolen, loose} {
		for _, line := range []string{
			officeCookie + "=" + value,
			officeCookie + "=" + mine + "; " + officeCookie + "=" + value,
			officeCookie + "=" + value + "; " + officeCookie + "=" + mine,
			"officesess=" + value + "; " + officeCookie + "=" + mine,
			"a=1, " + officeCookie + "=" + value,
			`a="x; ` + officeCookie + "=" + value + `"`,
			`a="x" ` + officeCookie + "=" + value,
			"$Version=1; " + officeCookie + "=" + value + "; $Path=/",
			officeCookie + `="` + value + `"`,
			officeCookie + " = " + value,
			"\t" + officeCookie + "=" + value,
			"OFFICE%53ESS=" + value,
			"OFFICESESS[]=" + value,
			"=; " + officeCookie + "=" + value,
		} {
			if p := b.get("/home.php", b.cookieLine(g, line)); strings.Contains(p.body, "ann") {
				t.Errorf("%s: %s", line, p.body)
			}
		}
		for _, target := range []string{
			"/home.php;officesess=" + value, "/a;x=y;OfficeSess=" + value + "/home.php", "/home.php?OFFICESESS=" + value,
			"/home.php?a=b&officesess=" + value, "/home.php?a=b;OFFICESESS=" + value, "/home.php?%4fFFICESESS=" + value,
			"/home.php%3Bofficesess=" + value,
		} {
			if p := b.get(target, b.cookieLine(g, "a=b")); p.status != 403 && p.status != 400 {
				t.Errorf("%s: %d", target, p.status)
			}
		}
		if seen := g.everything(); strings.Contains(seen, value) {
			t.Errorf("the app saw %s in\n%s", value, seen)
		}
	}
	b.get("/home.php;officesess="+mine, b.cookieLine(g, officeCookie+"="+mine)).wantBody(`as "mallory"`)
}

func TestStolenCookieIsNotLaunderedOnAPublicPath(t *testing.T) {
	app := &office{rotates: true}
	g := startGateway(t, officeSite, app)
	ann := g.browser()
	ann.signInAtOffice("ann")
	stolen := ann.cookie(officeCookie)
	b := g.browser()
	b.signInAtOffice("mallory").want(200, "/home.php")
	b.put(officeCookie, stolen)
	b.get("/public/x").wantBody(`as "" at`)
	// Nor one that is bound to nobody: the app makes a new one of it, which
	// the app says is ann's.
	b.put(officeCookie, app.direct(t, "ann"))
	b.get("/public/x").wantBody(`as "ann" at`)
	b.get("/home.php").want(200, "/home.php").wantBody(`as "" at`)
}

func TestCookieThatTheAppSetsLaterIsBoundOnceConfirmed(t *testing.T) {
	g := startGateway(t, officeSite, &office{rotates: true})
	b := g.browser()
	b.signInAtOffice("joe").want(200, "/home.php")
	first := b.cookie(officeCookie)
	for range 3 {
		b.get("/home.php").wantBody(`as "joe" at`)
	}
	if b.cookie(officeCookie) == first {
		t.Fatal("the app did not change its cookie")
	}
	thief := g.browser()
	thief.put(officeCookie, b.cookie(officeCookie))
	thief.get("/public/x")
	b.get("/home.php").wantBody(`as "joe" at`)
}

func TestWithoutIdentityNoLaterCookieIsBound(t *testing.T) {
	g := startGateway(t, officeVariant(`identity probe /profile.php "Signed in as <b>(.+?)</b>"`, ""), &office{rotates: true})
	g.addUser("joe", ofSource("legacy_form"))
	b := g.browser()
	b.signInAtOffice("joe").want(200, "/home.php").wantBody(`as "joe" at`)
	b.get("/home.php").wantBody(`as "" at`)
}

func TestLoginAtAnEndpointThatIsNotNamedOpensNothing(t *testing.T) {
	g := startGateway(t, officeSite, &office{})
	form := url.Values{"name": {"ann"}, "secret": {officePasswords["ann"]}}
	thief := g.browser()
	thief.do("POST", "/api/login", form).want(200, "")
	thief.get("/home.php").want(200, "/login.php")

	b := g.browser()
	b.signInAtOffice("mallory").want(200, "/home.php")
	b.do("POST", "/api/login", form).want(200, "")
	b.get("/home.php").want(200, "/login.php")
}

func TestLoginAsSomebodyElseEndsTheOldSession(t *testing.T) {
	for name, app := range map[string]*office{"new cookie": {}, "same cookie": {keeps: true}} {
		t.Run(name, func(t *testing.T) {
			g := startGateway(t, officeSite, app)
			b := g.browser()
			b.signInAtOffice("joe").want(200, "/home.php")
			b.enrol(b.get("/cases/1").atEnrolment()).want(200, "/cases/1")
			held := b.cookie(g.sessionCookie())
			b.atOffice("mallory", officePasswords["mallory"]).want(200, "/home.php").wantBody(`as "mallory"`)
			b.get("/cases/1").atEnrolment()
			old := g.browser()
			old.put(g.sessionCookie(), held)
			if old.signedIn() {
				t.Error("the first person's session goes on")
			}
		})
	}
}

func TestWrongPasswordInsideASessionProvesNothing(t *testing.T) {
	// The app leads home after a wrong password, and still knows the person.
	site := officeVariant("success location !/login*", "", `failure body "Invalid password"`, "",
		"require mfa /cases/*", "level again {\n\t\t\t\taccept password\n\t\t\t\tmax_age 1s\n\t\t\t}\n\t\t\trequire again /cases/*")
	g := startGateway(t, site, &office{keeps: true, turnsAway: true})
	b := g.browser()
	b.signInAtOffice("joe").want(200, "/home.php")
	before := b.cookie(g.sessionCookie())
	b.atOffice("joe", "wrong")
	if b.cookie(g.sessionCookie()) != before {
		t.Error("a wrong password raised the session")
	}
	// Of another's name the answer says nothing: an app may let her in, call
	// her joe and look as if it had not.
	if b.atOffice("mallory", "wrong"); b.signedIn() {
		t.Error("joe's session outlives a sign-in in another's name")
	}
}

func TestAppThatKeepsItsCookieIsWelded(t *testing.T) {
	g := startGateway(t, officeSite, &office{keeps: true})
	attacker := g.browser()
	attacker.get("/login.php")
	planted := attacker.cookie(officeCookie)
	b := g.browser()
	b.put(officeCookie, planted)
	b.atOffice("joe", officePasswords["joe"]).want(200, "/home.php").wantBody(`as "joe"`)
	attacker.get("/public/x").wantBody(`as "" at`)
	attacker.put(officeCookie, planted)
	attacker.get("/home.php").want(200, "/login.php")
}

func TestSealedCookiesAreOneSessionsOwn(t *testing.T) {
	for name, app := range map[string]*office{"new cookie": {}, "same cookie": {keeps: true}, "changing": {rotates: true}} {
		t.Run(name, func(t *testing.T) {
			g := startGateway(t, officeVariant("login_page /login.php", "login_page /login.php\n\t\t\tseal_cookies"), app)
			b := g.browser()
			b.signInAtOffice("joe").want(200, "/home.php").wantBody(`as "joe"`)
			b.get("/home.php").wantBody(`as "joe"`)
			sealed := b.cookie(officeCookie)
			if !strings.HasPrefix(sealed, "sg1.") {
				t.Fatalf("the browser holds %s", sealed)
			}
			g.everything()
			ann := g.browser()
			ann.signInAtOffice("ann").want(200, "/home.php")
			ann.put(officeCookie, sealed)
			ann.get("/home.php").wantBody(`as "" at`)
			ann.get("/public/x").wantBody(`as "" at`)
			// The plain value, leaked by the app, is no good even inside.
			var plain string
			app.mu.Lock()
			for id, who := range app.sessions {
				if who == "joe" {
					plain = id
				}
			}
			app.mu.Unlock()
			b.put(officeCookie, plain)
			b.get("/home.php").wantBody(`as "" at`)
		})
	}
}

func TestLoginAsSomebodyWithoutAccountEndsTheOldSession(t *testing.T) {
	g := startGateway(t, officeSite, &office{keeps: true})
	b := g.browser()
	b.signInAtOffice("ann").want(200, "/home.php")
	b.atOffice("joe", officePasswords["joe"])
	if _, err := active.Load().people.Suspend(t.Context(), people.Operator(), people.Who{Source: "legacy_form", Username: "joe"}, ""); err != nil {
		t.Fatal(err)
	}
	b = g.browser()
	b.signInAtOffice("ann").want(200, "/home.php")
	if p := b.atOffice("joe", officePasswords["joe"]); p.status != 403 {
		t.Errorf("a suspended account got %d", p.status)
	}
	if b.signedIn() {
		t.Error("ann's session goes on with what is joe's cookie now")
	}
}

func TestAppThatChangesThePersonUnseenEndsTheSession(t *testing.T) {
	// The conditions are wrong: by them nobody is ever let in after the first.
	g := startGateway(t, officeSite, &office{keeps: true})
	b := g.browser()
	b.signInAtOffice("ann").want(200, "/home.php")
	g.load(officeVariant("success status 302 303", "success status 299"))
	b.still().atOffice("joe", officePasswords["joe"])
	if b.signedIn() {
		t.Error("ann's session goes on with what is joe's cookie now")
	}
}

func TestAppThatKeepsItsCookieIsAskedAgainAfterEveryChange(t *testing.T) {
	g := startGateway(t, officeSite, &office{keeps: true})
	b := g.browser()
	b.signInAtOffice("mallory").want(200, "/home.php")
	b.do("POST", "/home.php", url.Values{"a": {"b"}}).wantBody(`as "mallory"`)
	if !b.signedIn() {
		t.Fatal("a harmless form ended the session")
	}
	b.do("POST", "/api/login", url.Values{"name": {"ann"}, "secret": {officePasswords["ann"]}}).want(200, "")
	if b.signedIn() {
		t.Error("mallory's session goes on with what is ann's cookie now")
	}
	if p := b.get("/home.php"); strings.Contains(p.body, "ann") {
		t.Errorf("the app shows %s", p.body)
	}
}
