package caddymodule

import (
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"strings"
	"testing"
	"time"
)

// enrolled signs somebody in at the office and proves a second factor.
func enrolled(t *testing.T, g *rig, name string) *browser {
	t.Helper()
	b := g.browser()
	b.signInAtOffice(name).want(200, "/home.php")
	b.enrol(b.get("/cases/1").atEnrolment()).want(200, "/cases/1").wantBody(`as "` + name + `"`)
	return b
}

// quietly signs in as ann where nobody watches.
func (b *browser) quietly(change ...func(*http.Request)) *page {
	b.t.Helper()
	return b.do("POST", "/api/login", url.Values{"name": {"ann"}, "secret": {officePasswords["ann"]}}, change...)
}

func french(r *http.Request) { r.Header.Set("Accept-Language", "fr") }

func TestChangeOfPersonIsNoticedInEveryLanguage(t *testing.T) {
	for name, change := range map[string]func(*browser) []func(*http.Request){
		"header": func(*browser) []func(*http.Request) { return []func(*http.Request){french} },
		"cookie": func(b *browser) []func(*http.Request) { b.put("lang", "fr"); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			g := startGateway(t, officeSite, &office{keeps: true, translates: true})
			b := enrolled(t, g, "mallory")
			secret, used := b.secret, b.used
			with := change(b)
			b.quietly(with...)
			if p := b.get("/cases/1", with...); strings.Contains(p.body, "ann") || b.signedIn() {
				t.Errorf("mallory's proofs open ann's %s", p.body)
			}
			// Nor at the login that is watched, though its conditions are wrong.
			b = g.browser()
			b.secret, b.used = secret, used
			b.get("/cases/1")
			b.submit(b.atOffice("mallory", officePasswords["mallory"]).at("/challenge/totp"), "code", map[string]string{"code": b.code()}).want(200, "/cases/1")
			with = change(b)
			g.load(officeVariant("success status 302 303", "success status 299"))
			b.atOffice("ann", officePasswords["ann"], with...)
			if p := b.get("/cases/1", with...); strings.Contains(p.body, "ann") || b.signedIn() {
				t.Errorf("mallory's proofs open ann's %s", p.body)
			}
		})
	}
}

func TestFrenchPeopleSignIn(t *testing.T) {
	g := startGateway(t, officeSite, &office{translates: true})
	b := g.browser()
	b.put("lang", "fr")
	b.get("/login.php", french)
	b.atOffice("joe", officePasswords["joe"], french).want(200, "/home.php").wantBody(`as "joe"`)
}

func TestChangeOfPersonIsNoticedAfterALoginWithoutACookie(t *testing.T) {
	g := startGateway(t, officeSite, &office{keeps: true})
	b := g.browser()
	b.atOffice("mallory", officePasswords["mallory"]).want(200, "/home.php") // it carried none
	b.enrol(b.get("/cases/1").atEnrolment()).want(200, "/cases/1").wantBody(`as "mallory"`)
	b.quietly()
	if p := b.get("/cases/1"); strings.Contains(p.body, "ann") || b.signedIn() {
		t.Errorf("mallory's proofs open ann's %s", p.body)
	}
}

func TestAppThatNamesNobodyEndsTheSession(t *testing.T) {
	app := &office{keeps: true}
	g := startGateway(t, officeSite, app)
	b := enrolled(t, g, "mallory")
	app.mu.Lock()
	clear(app.sessions)
	app.mu.Unlock()
	b.do("POST", "/home.php", url.Values{"a": {"b"}})
	if b.signedIn() {
		t.Error("a session goes on of which the app knows nothing")
	}
}

// beside asks for a page with the browser's cookies while it is at something
// else, and gives the answer's status and body.
func (b *browser) beside(g *rig, target string) string {
	r, err := http.NewRequest("GET", g.url+target, nil)
	if err != nil {
		return err.Error()
	}
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Cookie", g.sessionCookie()+"="+b.cookie(g.sessionCookie())+"; "+officeCookie+"="+b.cookie(officeCookie))
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return err.Error()
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return err.Error()
	}
	return answer.Status + string(body)
}

// TestWhoWaitsInVainReachesNobodyElsesPage is a GET that has waited for long
// for a form of its session. Where that form may have made the cookie ann's, it
// never reaches the application with mallory's proofs.
func TestWhoWaitsInVainReachesNobodyElsesPage(t *testing.T) {
	for _, row := range []struct {
		name, form string
		becomes    string // whose the cookie is while the form is at work
		status     string
		reaches    bool
	}{
		{"a login", "/login.php", "ann", "503", false},
		{"a login that the application has not looked at yet", "/login.php", "mallory", "503", false},
		{"a form that signs somebody in unseen", "/api/login", "ann", "403", false},
		{"a long upload", "/home.php", "mallory", "200", true},
	} {
		t.Run(row.name, func(t *testing.T) {
			app := &office{keeps: true}
			g := startGateway(t, officeSite, app)
			b := enrolled(t, g, "mallory")
			active.Load().turns.Patience = 20 * time.Millisecond
			working, done, reached := make(chan struct{}), make(chan struct{}), make(chan struct{}, 10)
			app.tells(func(r *http.Request) {
				switch {
				case r.Method == "POST":
					app.mu.Lock()
					app.sessions[officeSession(r)] = row.becomes
					app.mu.Unlock()
					close(working)
					<-done
				case r.URL.Path == "/cases/1":
					reached <- struct{}{}
				}
			})
			form := make(chan *page, 1)
			fields := map[string]url.Values{
				"/login.php": {"user": {"ann"}, "pass": {officePasswords["ann"]}}, "/api/login": {"name": {"ann"}, "secret": {officePasswords["ann"]}},
			}[row.form]
			go func() { form <- b.do("POST", row.form, fields) }()
			<-working
			if got := b.beside(g, "/cases/1"); !strings.HasPrefix(got, row.status) || len(reached) > 0 != row.reaches {
				t.Errorf("%d reached the application, and the answer is %.300s", len(reached), got)
			}
			close(done)
			<-form
		})
	}
}

func TestOthersOfTheSessionWaitForTheCheck(t *testing.T) {
	app := &office{keeps: true}
	g := startGateway(t, officeSite, app)
	b := enrolled(t, g, "mallory")
	asked, answer := make(chan struct{}), make(chan struct{})
	app.tells(func(r *http.Request) {
		if r.URL.Path == "/profile.php" {
			close(asked)
			<-answer
		}
	})
	changed := make(chan *page, 1)
	go func() { changed <- b.quietly() }()
	<-asked
	// The person has changed, and nobody has noticed yet.
	other := make(chan string, 1)
	go func() { other <- b.beside(g, "/cases/1") }()
	select {
	case got := <-other:
		t.Errorf("it did not wait: %.300s", got)
	case <-time.After(300 * time.Millisecond): // it waits, or has not come yet: both are well
		close(answer)
		if got := <-other; strings.Contains(got, "ann") || !strings.HasPrefix(got, "403") && !strings.HasPrefix(got, "303") {
			t.Errorf("the one that waited got %.300s", got)
		}
	}
	<-changed
}

func TestLoginThatTheAppDoesNotNameIsNotPassedOn(t *testing.T) {
	g := startGateway(t, officeSite, &office{broken: true})
	b := g.browser().still()
	b.get("/login.php")
	before := b.cookie(officeCookie)
	p := b.atOffice("joe", officePasswords["joe"])
	if p.status != 502 || b.cookie(officeCookie) != before || p.header.Get("Location") != "" {
		t.Errorf("%d with %v", p.status, p.header)
	}
	if p.marked("reference") == "" {
		t.Error("the page has no reference")
	}
}

func TestPaddedCookieDoesNotHideALogin(t *testing.T) {
	g := startGateway(t, officeSite, &office{line: 8192})
	b := g.browser()
	b.get("/login.php")
	pad := strings.Repeat("x", 8150-len(officeCookie)-len(b.cookie(officeCookie)))
	b.still().atOffice("joe", officePasswords["joe"], func(r *http.Request) { r.AddCookie(&http.Cookie{Name: "pad", Value: pad}) })
	if !b.signedIn() {
		t.Error("the login was taken for a refused one")
	}
}

func TestLinkThatSignsSomebodyElseInEndsTheSession(t *testing.T) {
	app := &office{keeps: true}
	g := startGateway(t, officeSite, app)
	b := enrolled(t, g, "mallory")
	b.still().get("/public/link?as=ann")
	if p := b.get("/cases/1"); strings.Contains(p.body, "ann") || b.signedIn() {
		t.Errorf("mallory's proofs open ann's %s", p.body)
	}
}

// below is a site whose login and sign-out stand on a path that needs more
// than a password, as a wiki's do on every page of it.
func below(t *testing.T, app *office) (*rig, *browser) {
	t.Helper()
	g := startGateway(t, officeVariant("login_page /login.php", "login_page /cases/7?do=login", "sign_out /logout.php", "sign_out /cases/7?do=logout",
		"submit POST /login.php", "submit POST /login.php\n\t\t\tsubmit POST /cases/7"), app)
	b := g.browser()
	b.get("/cases/7?do=login")
	b.atOffice("ann", officePasswords["ann"]).want(200, "/home.php")
	return g, b
}

func TestLoginPageShowsNothingToWhoIsBelowItsLevels(t *testing.T) {
	_, b := below(t, &office{})
	if p := b.get("/cases/7?do=login"); strings.Contains(p.body, `as "ann"`) {
		t.Errorf("a password alone is shown %s", p.body)
	}
	// Whoever has proved more sees it as any other page.
	_, b = below(t, &office{})
	b.enrol(b.get("/cases/1").atEnrolment()).want(200, "/cases/1")
	b.get("/cases/7?do=login").want(200, "/cases/7?do=login").wantBody(`as "ann"`)
}

func TestSignOutShowsNothingToWhoIsBelowItsLevels(t *testing.T) {
	_, b := below(t, &office{})
	p := b.get("/cases/7?do=logout")
	if strings.Contains(p.body, `as "ann"`) || b.signedIn() {
		t.Errorf("at %s a password alone is shown %s", p.url, p.body)
	}
}

func TestRefusedLoginShowsNothingToWhoIsBelowItsLevels(t *testing.T) {
	_, b := below(t, &office{keeps: true})
	p := b.do("POST", "/cases/7", url.Values{"user": {"ann"}, "pass": {"wrong"}})
	if strings.Contains(p.body, `as "ann"`) {
		t.Errorf("a password alone is shown %s", p.body)
	}
}

func TestRedirectOfALoginHasNoBodyBelowItsLevels(t *testing.T) {
	site := officeVariant("default signed_in", "require mfa /login.php\n\t\t\tdefault signed_in")
	g := startGateway(t, site, &office{chatty: true})
	b := g.browser().still()
	b.get("/login.php")
	p := b.atOffice("joe", officePasswords["joe"])
	if p.status != 302 || p.header.Get("Location") != "/home.php" || p.body != "" {
		t.Errorf("%d to %s with %q", p.status, p.header.Get("Location"), p.body)
	}
}

func TestEarlyHintsCarryNoCookies(t *testing.T) {
	g := startGateway(t, officeVariant("login_page /login.php", "login_page /login.php\n\t\t\tseal_cookies"), &office{hints: true})
	b := g.browser()
	b.signInAtOffice("joe").want(200, "/home.php")
	hints, cookies := 0, 0
	trace := &httptrace.ClientTrace{Got1xxResponse: func(_ int, h textproto.MIMEHeader) error {
		hints++
		cookies += len(h["Set-Cookie"])
		return nil
	}}
	b.get("/home.php", func(r *http.Request) { *r = *r.WithContext(httptrace.WithClientTrace(r.Context(), trace)) }).want(200, "/home.php")
	if hints == 0 || cookies != 0 {
		t.Errorf("%d hints with %d cookies", hints, cookies)
	}
}

func TestValueThatTwoLoginsGetOpensTheNewerSessionAlone(t *testing.T) {
	g := startGateway(t, officeSite, &office{shares: "the-same-for-all"})
	m := enrolled(t, g, "mallory")
	ann := g.browser()
	ann.signInAtOffice("ann").want(200, "/home.php").wantBody(`as "ann"`)
	if p := m.get("/cases/1"); strings.Contains(p.body, "ann") || m.signedIn() {
		t.Errorf("mallory's proofs open ann's %s", p.body)
	}
}
