package caddymodule

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stepgate/stepgate/internal/legacytest"
)

func TestWordPressBehindTheGateway(t *testing.T) {
	g, app := startExample(t, "wordpress", func(o legacytest.Options) *legacytest.App { return legacytest.StartWordPress(t, o) })
	walkLegacy(t, g, app, legacyWalk{
		who: app.Accounts[0], username: "admin", page: "/wp-admin/profile.php", says: `id="user_login" value="admin"`,
		sensitive: "/wp-admin/users.php", shows: "joe@example.test",
		signOut: func(b *browser) *page { return wordpressSignOut(b) },
	})
	t.Run("a display name makes nobody somebody else", func(t *testing.T) {
		mallory := g.browser()
		mallory.signInAt(mallory.get("/wp-admin/profile.php"), app, app.Accounts[2])
		mallory.enrol(mallory.get("/wp-admin/edit.php").atEnrolment())
		mallory.submit(mallory.get("/wp-admin/profile.php"), "nickname", map[string]string{
			"nickname": "admin", "display_name": "admin", "email": "mallory@example.test",
		}).want(200, "").wantBody(`<span class="display-name">admin</span>`)
		again := g.browser()
		again.signInAt(again.get("/wp-admin/profile.php"), app, app.Accounts[2]).wantBody(`<span class="display-name">admin</span>`)
		again.get("/.stepgate/status", fetch).wantBody(`"username":"mallory"`)
	})
	t.Run("a password alone reaches no way in for programs", func(t *testing.T) {
		b := g.browser()
		b.signInAt(b.get("/wp-admin/profile.php"), app, app.Accounts[0])
		for _, path := range []string{"/wp-json/wp/v2/users?context=edit", "/?rest_route=/wp/v2/users", "/index.php?rest.route=/wp/v2/users", "/index.php/wp-json/wp/v2/users"} {
			if p := b.get(path, fetch); p.status != http.StatusUnauthorized {
				t.Errorf("%s: %d", path, p.status)
			}
		}
		if p := b.do("POST", "/xmlrpc.php", nil); p.status != http.StatusForbidden {
			t.Errorf("xmlrpc.php: %d", p.status)
		}
		stranger := g.browser()
		p := stranger.get("/wp-json/wp/v2/users/me", fetch, func(r *http.Request) { r.SetBasicAuth("admin", app.Accounts[0].Password) })
		if p.status != http.StatusUnauthorized || strings.Contains(p.body, "admin@example.test") {
			t.Errorf("with the password as Basic: %d", p.status)
		}
	})
}

// wordpressSignOut follows the link in the bar, whose address is made anew for
// each session.
func wordpressSignOut(b *browser) *page {
	b.t.Helper()
	p := b.get("/wp-admin/profile.php")
	link := regexp.MustCompile(`href=['"]https?://[^/'"]+(/wp-login\.php\?action=logout[^'"]*)['"]`).FindStringSubmatch(p.body)
	if link == nil {
		b.t.Fatalf("no link to sign out at %s:\n%.3000s", p.url, p.body)
	}
	return b.get(strings.ReplaceAll(link[1], "&#038;", "&"))
}

func TestPHPMyAdminBehindTheGateway(t *testing.T) {
	g, app := startExample(t, "phpmyadmin", func(o legacytest.Options) *legacytest.App { return legacytest.StartPHPMyAdmin(t, o) })
	who := app.Accounts[1]
	wrong := who
	wrong.Password = "not-the-password"
	b := g.browser()
	b.signInAt(b.get("/index.php"), app, wrong)
	if b.signedIn() {
		t.Fatal("signed in with a wrong password")
	}
	const cases = "/index.php?route=/sql&db=&sql_query=SHOW+DATABASES"
	b.enrol(b.signInAt(b.get("/index.php"), app, who).atEnrolment()).want(200, "/index.php?route=/&route=%2F").wantBody(`user:"clerk"`)
	b.get("/.stepgate/status", fetch).wantBody(`"username":"clerk"`)
	b.get(cases).want(200, "")

	thief := g.browser()
	thief.signInAt(thief.get("/index.php"), app, who).at("/challenge/totp")
	for _, path := range []string{cases, "/index.php?route=/&route=/sql", "/index.php?lang=en&route=/server/databases"} {
		if p := thief.get(path, fetch); p.status != http.StatusUnauthorized {
			t.Errorf("a password alone at %s: %d", path, p.status)
		}
	}
	bare := g.browser()
	for _, name := range []string{"phpMyAdmin", "pmaUser-1", "pmaAuth-1"} {
		if b.cookie(name) == "" {
			t.Fatalf("no cookie %s", name)
		}
		bare.put(name, b.cookie(name))
	}
	if p := bare.get("/index.php"); strings.Contains(p.body, `user:"clerk"`) {
		t.Error("the app's cookies alone open it")
	}
	if b.get("/index.php?route=/logout"); b.signedIn() {
		t.Error("signed in after the app's own sign-out")
	}
}
