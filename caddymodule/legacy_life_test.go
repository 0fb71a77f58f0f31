package caddymodule

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stepgate/stepgate/internal/legacytest"
)

// startWiki runs DokuWiki, and gives a browser in which alice has signed in
// there, with her cookie to be remembered, and proved a second factor.
func startWiki(t *testing.T) (*rig, *legacytest.App, *browser) {
	t.Helper()
	g, app := startExample(t, "dokuwiki-login", func(o legacytest.Options) *legacytest.App { return legacytest.StartDokuWiki(t, o) })
	b := g.browser()
	b.rememberedAt(app, app.Accounts[0])
	b.enrol(b.get("/doku.php?id=start&do=ad-min").atEnrolment()).want(200, "").wantBody("User Manager")
	return g, app, b
}

func (b *browser) rememberedAt(app *legacytest.App, who legacytest.Account) *page {
	b.t.Helper()
	_, form := b.get("/doku.php?id=private:notes").form(app.Login.PasswordField)
	if form == nil {
		b.t.Fatal("no login form")
	}
	form.Set("u", who.Username)
	form.Set("p", who.Password)
	form.Set("r", "1")
	return b.do("POST", "/doku.php?id=private:notes&do=login", form)
}

// forget removes the sessions that the wiki's PHP keeps.
func forget(t *testing.T, app *legacytest.App) {
	t.Helper()
	files, err := filepath.Glob(app.Dir + "/sess_*")
	if err != nil || len(files) == 0 {
		t.Fatalf("PHP keeps no sessions: %v", err)
	}
	for _, f := range files {
		if err := os.Remove(f); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRememberedCookieWorksInItsSessionAlone(t *testing.T) {
	g, app, b := startWiki(t)
	forget(t, app) // the wiki signs her in anew, by the cookie that remembers her
	b.get("/doku.php?id=private:notes").want(200, "").wantBody("Only for people")
	b.get("/doku.php?id=start&do=ad-min").want(200, "").wantBody("User Manager")
	if b.username() != "alice" {
		t.Errorf("alice is %q", b.username())
	}
	// Without the gateway's session, that cookie signs nobody in.
	b.put(g.sessionCookie(), "gone")
	if p := b.get("/doku.php?id=private:notes"); strings.Contains(p.body, "Only for people") {
		t.Errorf("the cookie alone shows\n%.300s", p.body)
	}
	// Nor does the form, which is for everybody, know her by it.
	if p := b.get("/doku.php?id=private:notes&do=login"); !strings.Contains(p.body, `name="u"`) || strings.Contains(p.body, "Only for people") {
		t.Errorf("by the cookie alone the wiki shows, in place of its form,\n%.300s", p.body)
	}
}

func TestSessionThatEndsAtTheGatewayFirst(t *testing.T) {
	_, app, b := startWiki(t)
	b.submit(b.get("/.stepgate/sign-out"), "csrf_token", nil)
	if p := b.get("/doku.php?id=private:notes"); b.signedIn() || strings.Contains(p.body, "Only for people") {
		t.Errorf("the wiki's session outlives the gateway's:\n%.300s", p.body)
	}
	b.rememberedAt(app, app.Accounts[0]).wantBody("Only for people")
	b.get("/doku.php?id=start&do=ad-min").at("/challenge/totp")
}

func TestSessionThatEndsInTheAppFirst(t *testing.T) {
	_, app, b := startWiki(t)
	forget(t, app)
	users := app.Dir + "/conf/users.auth.php"
	text, err := os.ReadFile(users)
	if err != nil {
		t.Fatal(err)
	}
	// Her password there is bob's now, so that the wiki believes no cookie of hers.
	lines := strings.Split(string(text), "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, "alice:") {
			hers := strings.Split(line, ":")
			for _, other := range lines {
				if strings.HasPrefix(other, "bob:") {
					hers[1] = strings.Split(other, ":")[1]
				}
			}
			lines[i] = strings.Join(hers, ":")
		}
	}
	if err := os.WriteFile(users, []byte(strings.Join(lines, "\n")), 0o644); err != nil {
		t.Fatal(err)
	}
	if p := b.get("/doku.php?id=private:notes"); strings.Contains(p.body, "Only for people") {
		t.Fatalf("the wiki knows her still:\n%.300s", p.body)
	}
	// She signs in anew at the wiki's form, with the password that she has now.
	again := app.Accounts[0]
	again.Password = app.Accounts[1].Password
	b.rememberedAt(app, again)
	b.get("/doku.php?id=private:notes").wantBody("Only for people")
	if b.username() != "alice" {
		t.Errorf("alice is %q", b.username())
	}
}

func TestPasswordThatIsChangedInTheApp(t *testing.T) {
	g, app, b := startWiki(t)
	who := app.Accounts[0]
	p := b.get("/doku.php?id=start&do=profile").want(200, "")
	changed := b.submit(p, "newpass", map[string]string{"newpass": "wiki-Pass9", "passchk": "wiki-Pass9", "oldpass": who.Password, "email": "alice@example.test", "fullname": "Alice"})
	if changed.status != 200 {
		t.Fatalf("%d at %s:\n%.500s", changed.status, changed.url, changed.body)
	}
	b.get("/doku.php?id=start&do=ad-min").want(200, "").wantBody("User Manager")
	if b.username() != who.Username {
		t.Errorf("after the change she is %q", b.username())
	}
	other := g.browser()
	if other.rememberedAt(app, who); other.signedIn() {
		t.Error("her old password signs her in")
	}
	who.Password = "wiki-Pass9"
	if other.rememberedAt(app, who); other.username() != who.Username {
		t.Errorf("her new password signs in %q", other.username())
	}
}
