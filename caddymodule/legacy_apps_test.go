package caddymodule

import (
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stepgate/stepgate/internal/legacytest"
)

// startExample runs docs/examples/NAME/Caddyfile, with changes, before a real
// application, which start gets the gateway's address for.
func startExample(t *testing.T, name string, start func(legacytest.Options) *legacytest.App, change ...func(site string) string) (*rig, *legacytest.App) {
	t.Helper()
	if testing.Short() {
		t.Skip("starts " + name)
	}
	text, err := os.ReadFile("../docs/examples/" + name + "/Caddyfile")
	if err != nil {
		t.Fatal(err)
	}
	site := regexp.MustCompile(`(?m)^\S+\.example\.gov \{`).ReplaceAllString(string(text), "{{site}} {")
	site = strings.ReplaceAll(site, "127.0.0.1:9000", "{{upstream}}")
	if assertions, err := filepath.Abs("../docs/examples/" + name + "/policy.assert"); err == nil {
		site = strings.ReplaceAll(site, "policy.assert", assertions)
	}
	for _, c := range change {
		site = c(site)
	}
	var proxy atomic.Pointer[httputil.ReverseProxy]
	g := startGateway(t, site, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { proxy.Load().ServeHTTP(w, r) }))
	app := start(legacytest.Options{PublicURL: g.url})
	at, err := url.Parse(app.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy.Store(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(at)
		r.Out.Host = r.In.Host
	}})
	return g, app
}

// signInAt fills in the form of a login page as a browser does.
func (b *browser) signInAt(p *page, app *legacytest.App, who legacytest.Account) *page {
	b.t.Helper()
	p.want(200, "")
	action, _ := p.form(app.Login.PasswordField)
	if action == "" {
		action = p.url.String()
	}
	_, form := p.form(app.Login.PasswordField)
	if form == nil {
		b.t.Fatalf("no login form at %s:\n%.3000s", p.url, p.body)
	}
	form.Set(app.Login.UsernameField, who.Username)
	form.Set(app.Login.PasswordField, who.Password)
	target, err := p.url.Parse(action)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.do("POST", target.String(), form)
}

// legacyWalk is what is asked of every application behind the gateway.
type legacyWalk struct {
	who       legacytest.Account
	username  string // at the gateway
	page      string // needs a sign-in
	says      string // on that page, once signed in
	sensitive string // needs a second factor
	shows     string // there
	signOut   func(b *browser) *page
}

func walkLegacy(t *testing.T, g *rig, app *legacytest.App, w legacyWalk) *browser {
	t.Helper()
	wrong := w.who
	wrong.Password = "not-the-password"
	b := g.browser()
	b.signInAt(b.get(w.page), app, wrong)
	if b.signedIn() {
		t.Fatal("signed in with a wrong password")
	}
	p := b.signInAt(b.get(w.page), app, w.who).want(200, w.page).wantBody(w.says)
	if got := b.get("/.stepgate/status", fetch); !strings.Contains(got.body, `"username":"`+w.username+`"`) {
		t.Errorf("signed in as %s", got.body)
	}
	b.enrol(b.get(w.sensitive).atEnrolment()).want(200, w.sensitive).wantBody(w.shows)
	if again := b.get(w.page).wantBody(w.says); again.status != p.status {
		t.Errorf("the page came with %d", again.status)
	}

	// A password alone, in another browser, is asked for the second factor;
	// the app's cookies alone for a sign-in.
	thief := g.browser()
	thief.signInAt(thief.get(w.sensitive), app, w.who).at("/challenge/totp")
	bare := g.browser()
	at, _ := url.Parse(g.url)
	for _, c := range b.jar.Cookies(at) {
		if !strings.Contains(c.Name, "stepgate") {
			bare.put(c.Name, c.Value)
		}
	}
	if strings.Contains(bare.get(w.page).body, w.says) {
		t.Error("the app's cookies alone open the page")
	}

	if w.signOut(b); b.signedIn() {
		t.Error("signed in after the app's own sign-out")
	}
	return b
}

func TestDokuWikiBehindTheGateway(t *testing.T) {
	g, app := startExample(t, "dokuwiki-login", func(o legacytest.Options) *legacytest.App { return legacytest.StartDokuWiki(t, o) })
	walkLegacy(t, g, app, legacyWalk{
		who: app.Accounts[0], username: "alice", page: "/doku.php?id=private:notes", says: "Only for people",
		sensitive: "/doku.php?id=start&do=ad-min", shows: "User Manager",
		signOut: func(b *browser) *page {
			p := b.get("/doku.php?id=start")
			link := regexp.MustCompile(`href="(/doku\.php\?id=start&amp;do=logout[^"]*)"`).FindStringSubmatch(p.body)
			if link == nil {
				t.Fatalf("no link to sign out:\n%.3000s", p.body)
			}
			return b.get(strings.ReplaceAll(link[1], "&amp;", "&"))
		},
	})
	b := g.browser()
	b.signInAt(b.get("/doku.php?id=cases:1002"), app, app.Accounts[1])
	p := b.get("/doku.php?id=cases:1002&do=edit")
	b.submit(p, "sectok", nil) // the search form has none: this is the editor's
	p = b.get("/doku.php?id=cases:1002&do=edit")
	action, form := p.form("wikitext")
	if form == nil {
		action, form = p.form("do[save]")
	}
	form.Set("wikitext", "A new case.")
	form.Set("do[save]", "1")
	b.do("POST", action, form).want(200, "/doku.php?id=cases:1002").wantBody("A new case.")
}

// TestDokuWikisLoginPageShowsNoPageBelowItsLevels makes the wiki's private
// pages need a second factor: ?id=PAGE&do=login is the login page of every
// page, and shows the page itself to whoever the wiki knows already.
func TestDokuWikisLoginPageShowsNoPageBelowItsLevels(t *testing.T) {
	g, app := startExample(t, "dokuwiki-login", func(o legacytest.Options) *legacytest.App { return legacytest.StartDokuWiki(t, o) }, func(site string) string {
		return strings.Replace(site, "require mfa ", "require mfa /doku.php?id=private*\n\t\t\trequire mfa ", 1)
	})
	const page, says = "/doku.php?id=private:notes", "Only for people"
	signedIn := func() *browser {
		b := g.browser()
		b.signInAt(b.get("/doku.php?id=start"), app, app.Accounts[0]).want(200, "/doku.php?id=start")
		return b
	}
	b := signedIn()
	for _, target := range []string{
		"&do=login", "&do=login&sectok=", "&do=login&sectok=x", "&do=%6cogin", "&do=LOGIN", "&do=log-in", "&do[login]=1", "&do=login&do=show", "&do=login&rev=1",
		"&do=register", "&do=resendpwd", "&do=export_raw", "&do=denied",
	} {
		if p := b.get(page + target); strings.Contains(p.body, says) {
			t.Errorf("a password alone is shown the page by %s, at %s", target, p.url)
		}
	}
	if !b.signedIn() {
		t.Error("asking for login pages ends the session")
	}
	if p := b.do("HEAD", page+"&do=login", nil); p.status != 200 {
		t.Errorf("HEAD: %d", p.status)
	}
	link := regexp.MustCompile(`href="/doku\.php\?id=start(&amp;do=logout[^"]*)"`)
	for _, target := range []string{"", "&do=logout", "&do=logout&sectok=x", "&do=log-out", "&do=LOGOUT"} {
		b = signedIn()
		if target == "" {
			found := link.FindStringSubmatch(b.get("/doku.php?id=start").body)
			if found == nil {
				t.Fatal("no link to sign out")
			}
			target = strings.ReplaceAll(found[1], "&amp;", "&")
		}
		if p := b.get(page + target); strings.Contains(p.body, says) {
			t.Errorf("a password alone is shown the page by %s, at %s", target, p.url)
		}
	}
	b = signedIn()
	b.enrol(b.get(page).atEnrolment()).want(200, page).wantBody(says)
	b.get(page + "&do=login").wantBody(says)
}

func TestMediaWikiBehindTheGateway(t *testing.T) {
	g, app := startExample(t, "mediawiki", func(o legacytest.Options) *legacytest.App { return legacytest.StartMediaWiki(t, o) })
	b := walkLegacy(t, g, app, legacyWalk{
		who: app.Accounts[0], username: "Admin", page: "/index.php/Main_Page", says: `"wgUserName":"Admin"`,
		sensitive: "/index.php?title=Special:UserRights&user=Bob", shows: "bureaucrat",
		signOut: func(b *browser) *page {
			return b.submit(b.get("/index.php?title=Special:UserLogout"), "wpEditToken", nil)
		},
	})
	b.signInAt(b.get("/index.php/Notes"), app, app.Accounts[1])
	p := b.get("/index.php?title=Notes&action=edit")
	b.submit(p, "wpSave", map[string]string{"wpTextbox1": "Written through the gateway.", "wpSave": "Save"}).
		want(200, "/index.php/Notes").wantBody("Written through the gateway.")
}

func TestShaarliBehindTheGateway(t *testing.T) {
	g, app := startExample(t, "shaarli", func(o legacytest.Options) *legacytest.App { return legacytest.StartShaarli(t, o) })
	g.addUser("joe", ofSource("legacy_form"))
	walkLegacy(t, g, app, legacyWalk{
		who: app.Accounts[0], username: "joe", page: "/?searchterm=x", says: "/admin/logout",
		sensitive: "/admin/configure", shows: "Timezone",
		signOut: func(b *browser) *page { return b.get("/admin/logout") },
	})
	b := g.browser()
	b.signInAt(b.get("/"), app, app.Accounts[0]).want(200, "/")
	p := b.get("/admin/shaare?post=https%3A%2F%2Fexample.test%2F&title=A+page").want(200, "")
	b.submit(p, "lf_url", map[string]string{"lf_url": "https://example.test/", "lf_title": "A page of somebody", "save_edit": "Save"})
	b.get("/").wantBody("A page of somebody")
}

func TestPHPLDAPAdminBehindTheGateway(t *testing.T) {
	g, app := startExample(t, "phpldapadmin", func(o legacytest.Options) *legacytest.App {
		app, _ := legacytest.StartPHPLDAPAdmin(t, o)
		return app
	})
	who := app.Accounts[len(app.Accounts)-1]
	walkLegacy(t, g, app, legacyWalk{
		who: who, username: who.Username, page: "/index.php", says: "Logged in as",
		sensitive: "/cmd.php?cmd=template_engine&server_id=1&dn=" + url.QueryEscape(who.Username), shows: "- " + who.Username,
		signOut: func(b *browser) *page { return b.get("/cmd.php?cmd=logout&server_id=1") },
	})
}

// It translates its pages by what the browser asks for, and so the words by
// which the probe finds a name.
func TestFrenchPHPLDAPAdminIsAskedInEnglish(t *testing.T) {
	g, app := startExample(t, "phpldapadmin", func(o legacytest.Options) *legacytest.App {
		app, _ := legacytest.StartPHPLDAPAdmin(t, o)
		return app
	})
	mallory, ann := app.Accounts[1], app.Accounts[2]
	frenchly := func(r *http.Request) { r.Header.Set("Accept-Language", "fr-FR,fr;q=0.9") }
	signIn := func(b *browser, who legacytest.Account) *page {
		p := b.get("/index.php", frenchly).want(200, "")
		_, form := p.form(app.Login.PasswordField)
		if form == nil { // signed in already: the form is at its own address
			_, form = b.get(app.Login.Page, frenchly).form(app.Login.PasswordField)
		}
		form.Set(app.Login.UsernameField, who.Username)
		form.Set(app.Login.PasswordField, who.Password)
		return b.do("POST", "/cmd.php", form, frenchly)
	}
	sensitive := "/cmd.php?cmd=template_engine&server_id=1&dn=" + url.QueryEscape(ann.Username)

	b := g.browser()
	signIn(b, mallory)
	if p := b.get("/index.php", frenchly); strings.Contains(p.body, "Logged in as") || !strings.Contains(p.body, "logged_in") || b.username() != mallory.Username {
		t.Fatalf("the program does not speak French, or mallory is %q:\n%.2000s", b.username(), p.body)
	}
	b.enrol(b.get(sensitive, frenchly).atEnrolment()).want(200, sensitive)
	// In her session, with her proofs, she signs in as ann.
	signIn(b, ann)
	if p := b.get(sensitive, frenchly); p.url.RequestURI() == sensitive {
		t.Errorf("mallory's proofs serve as %q:\n%.300s", b.username(), p.body)
	}
	// Ann herself signs in all the same.
	c := g.browser()
	signIn(c, ann)
	if c.username() != ann.Username {
		t.Errorf("ann is %q", c.username())
	}
	c.get(sensitive, frenchly).atEnrolment()
}
