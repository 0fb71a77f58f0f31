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

func TestAmbiguousSubmitIsRefused(t *testing.T) {
	g := startGateway(t, officeSite, &office{})
	b := g.browser()
	b.get("/login.php")
	g.last()
	for name, send := range map[string]func() *page{
		"missing":         func() *page { return b.do("POST", "/login.php", url.Values{"pass": {"x"}}) },
		"twice":           func() *page { return b.raw("/login.php", "user=joe&user=ann&pass=old-Pass2") },
		"twice the same":  func() *page { return b.raw("/login.php", "user=joe&user=joe&pass=old-Pass1") },
		"in another case": func() *page { return b.raw("/login.php", "USER=joe&user=ann&pass=old-Pass2") },
		"only that":       func() *page { return b.raw("/login.php", "User=joe&pass=old-Pass1") },
		"padded":          func() *page { return b.raw("/login.php", "+user=joe&pass=old-Pass1") },
		"padded besides":  func() *page { return b.raw("/login.php", "user=joe&user+=ann&pass=old-Pass1") },
		"escaped":         func() *page { return b.raw("/login.php", "user=joe&%75ser=ann&pass=old-Pass1") },
		"as a list":       func() *page { return b.raw("/login.php", "user=joe&user[]=ann&pass=old-Pass1") },
		"by semicolons":   func() *page { return b.raw("/login.php", "user=joe;user=ann&pass=old-Pass1") },
		"control byte":    func() *page { return b.raw("/login.php", "user=joe%00ann&pass=old-Pass1") },
		"empty":           func() *page { return b.raw("/login.php", "user=+&pass=old-Pass1") },
		"no text":         func() *page { return b.raw("/login.php", "user=%ff%fe&pass=old-Pass1") },
	} {
		if p := send(); p.status != 400 {
			t.Errorf("%s: %d, want 400", name, p.status)
		}
		if g.last() != nil {
			t.Errorf("%s: the app saw it", name)
		}
	}
	// With a query it is not the submit that is named.
	if p := b.raw("/login.php?user=ann", "user=joe&pass=old-Pass1"); p.status < 400 || g.last() != nil {
		t.Errorf("in body and query: %d", p.status)
	}
	if b.signedIn() {
		t.Error("signed in")
	}
	// A name in another case, or padded, is the same person's.
	b.atOffice(" JOE ", officePasswords["joe"])
	if !b.signedIn() {
		t.Error("the plain name is not let in any more")
	}
}

func TestNameInBodyAndQueryIsRefused(t *testing.T) {
	g := startGateway(t, officeVariant("submit POST /login.php", "submit POST /login.php?user=*&next=*"), &office{})
	b := g.browser()
	b.get("/login.php")
	g.last()
	if p := b.raw("/login.php?user=ann", "user=joe&pass=old-Pass1"); p.status != 400 || g.last() != nil {
		t.Errorf("%d, want 400", p.status)
	}
	if b.still().raw("/login.php?next=/home.php", "user=joe&pass=old-Pass1").status != 302 || !b.signedIn() {
		t.Error("a field that the query may have keeps people out")
	}
}

func TestLoginPostedByAnotherSiteIsRefused(t *testing.T) {
	g := startGateway(t, officeSite, &office{})
	for name, change := range map[string]func(*http.Request){
		"cross-site":  func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
		"same-site":   func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-site") },
		"origin":      func(r *http.Request) { r.Header.Del("Sec-Fetch-Site"); r.Header.Set("Origin", "https://evil.test") },
		"origin null": func(r *http.Request) { r.Header.Del("Sec-Fetch-Site"); r.Header.Set("Origin", "null") },
		"referer alone": func(r *http.Request) {
			r.Header.Del("Sec-Fetch-Site")
			r.Header.Del("Origin")
			r.Header.Set("Referer", "https://evil.test/")
		},
	} {
		b := g.browser()
		b.get("/login.php")
		g.last()
		if p := b.atOffice("joe", officePasswords["joe"], change); p.status != 403 || g.last() != nil || b.signedIn() {
			t.Errorf("%s: %d, want 403", name, p.status)
		}
	}
}

func TestNameAndPasswordElsewhereAreRefused(t *testing.T) {
	g := startGateway(t, officeSite, &office{})
	b := g.browser()
	b.signInAtOffice("mallory")
	g.last()
	form := "user=ann&pass=old-Pass2"
	long := strings.Repeat("a=b&", 30<<10)
	multi := func(body string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Content-Type", "multipart/form-data; boundary=xx") }
	}
	part := func(name string) string {
		return "--xx\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\nv\r\n"
	}
	for name, p := range map[string]*page{
		"form on a public path":    b.raw("/public/x", form),
		"form in a session":        b.raw("/home.php", form),
		"in the query":             b.get("/home.php?" + form),
		"one here, one there":      b.raw("/home.php?user=ann", "pass=old-Pass2"),
		"behind a long body":       b.raw("/home.php", long+form),
		"multipart":                b.raw("/home.php", part("user")+part("pass")+"--xx--\r\n", multi("")),
		"long multipart":           b.raw("/home.php", part("user")+strings.Repeat(part("pad"), 2<<10)+part("pass")+"--xx--\r\n", multi("")),
		"another case":             b.raw("/home.php", "USER=ann&PASS=old-Pass2"),
		"another method than post": b.raw("/login.php", form, func(r *http.Request) { r.Method = "PUT" }),
	} {
		if p.status < 400 {
			t.Errorf("%s: %d", name, p.status)
		}
	}
	if got := g.last(); got != nil && strings.Contains(got.Body, "Pass2") {
		t.Errorf("the app saw %.200v", got)
	}
	b.raw("/home.php", long+"user=joe").want(200, "/home.php")
	b.raw("/home.php", "user=joe&x=y").want(200, "/home.php")
}

// TestFormOfTwoTypesNeverReachesTheApp repeats Content-Type, and puts the
// fields where the first 64 KiB are over: the app may read what the gateway
// does not.
func TestFormOfTwoTypesNeverReachesTheApp(t *testing.T) {
	app := &office{}
	g := startGateway(t, officeSite, app)
	encoded, parts := "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"
	fields := url.Values{"user": {"ann"}, "pass": {officePasswords["ann"]}}.Encode()
	part := func(name, value string) string {
		return "--x\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n"
	}
	inParts := part("user", "ann") + part("pass", officePasswords["ann"]) + "--x--\r\n"
	long := strings.Repeat("x", 70<<10)
	for _, row := range []struct {
		name  string
		types []string
		body  string
	}{
		{"two of a kind", []string{encoded, encoded}, fields},
		{"text and a form", []string{"text/plain", encoded}, fields},
		{"a form and text", []string{encoded, "text/plain"}, fields},
		{"parts and a form", []string{parts, encoded}, inParts},
		{"a form and parts", []string{encoded, parts}, fields},
		{"as one line", []string{parts + ", " + encoded}, inParts},
		{"far behind", []string{encoded}, "x=" + long + "&" + fields},
		{"text, and far behind", []string{"text/plain", encoded}, "x=" + long + "&" + fields},
		{"parts, and far behind", []string{encoded, parts}, part("x", long) + inParts},
	} {
		t.Run(row.name, func(t *testing.T) {
			for target, status := range map[string]int{"/login.php": 400, "/public/login": 403} {
				if len(row.types) == 1 && row.types[0] == encoded && target != "/login.php" {
					continue // passes as it is read, as long as it has not both fields
				}
				b := g.browser().still()
				p := b.raw(target, row.body, func(r *http.Request) { r.Header["Content-Type"] = row.types })
				if p.status != status || b.signedIn() || b.cookie(officeCookie) != "" {
					t.Errorf("%s: %d, want %d; signed in: %v", target, p.status, status, b.signedIn())
				}
				if got := g.last(); got != nil {
					t.Errorf("the app saw %.200v", got)
				}
			}
		})
	}
}

// raw posts a form as it is written.
func (b *browser) raw(target, body string, change ...func(*http.Request)) *page {
	b.t.Helper()
	return b.do("POST", target, url.Values{}, append([]func(*http.Request){func(r *http.Request) {
		r.Body, r.ContentLength, r.GetBody = readCloser(body), int64(len(body)), nil
	}}, change...)...)
}

func TestBasicAuthenticationIsWithheld(t *testing.T) {
	g := startGateway(t, officeSite, &office{})
	b := g.browser()
	basic := func(r *http.Request) { r.SetBasicAuth("ann", officePasswords["ann"]) }
	b.get("/public/x", basic).want(200, "").wantBody(`as "" at`)
	b.get("/login.php", basic)
	b.signInAtOffice("mallory")
	b.get("/home.php", basic).wantBody(`as "mallory"`)
	g.load(officeVariant("login_page /login.php", "login_page /login.php\n\t\t\tpass_authorization"))
	b.get("/public/x", basic).wantBody(`as "ann" at`)
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
