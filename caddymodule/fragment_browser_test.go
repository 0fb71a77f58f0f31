package caddymodule

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/stepgate/stepgate/internal/legacytest"
)

// TestWhatFollowsTheHashSurvivesEveryHop is a page that shows what its address
// has behind the #, which no server ever gets.
func TestWhatFollowsTheHashSurvivesEveryHop(t *testing.T) {
	c := startChromium(t)
	g := startGateway(t, portalSite, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, "<h1>the portal</h1>")
	}))
	g.addUser("joe")
	const target, place = "/cases/app?x=1", "#/orders/42?tab=b"
	stands := func(b *tab) {
		t.Helper()
		b.stands(target, "the portal")
		if got := evaluate[string](b, "location.hash"); got != place {
			t.Errorf("%q is left of %s", got, place)
		}
	}
	b := c.profile(t, looks{1280, true, false})
	b.open(g.url + target + place).at("/sign-in")
	b.fill("username", "joe", "password", "wrong").press(submitButton).says("not correct")
	b.signIn("joe").chooseApp().readSecret()
	b.fill("code", "000 000").press(`main button[value="verify"]`).says("not correct")
	b.fill("code", b.code()).press(`main button[value="verify"]`)
	code := evaluate[string](b, `document.querySelector("[data-stepgate=backup-code]").textContent`)
	b.keepCodes()
	stands(b)

	// At the next sign-in by way of another factor.
	again := c.profile(t, looks{360, true, false})
	again.open(g.url + target + place).signIn("joe").at("/challenge/totp")
	again.press(`main p > a[href*="/.stepgate/challenge"]`).press(`.ways a[href*="backup"]`).fill("code", code).press(submitButton)
	stands(again)

	// Without scripts forms keep it. Links to another way do not.
	plain := c.profile(t, looks{1280, false, false})
	plain.secret, plain.used = b.secret, b.used
	plain.open(g.url + target + place).at("/sign-in")
	plain.fill("username", "joe", "password", "wrong").press(submitButton).says("not correct")
	plain.signIn("joe").at("/challenge/totp")
	plain.fill("code", "000 000").press(submitButton).says("not correct")
	plain.fill("code", plain.code()).press(submitButton)
	stands(plain)
	lost := c.profile(t, looks{1280, false, false})
	lost.open(g.url + target + place).signIn("joe").press(`main p > a[href*="/.stepgate/challenge"]`)
	if got := evaluate[string](lost, "location.hash"); got != "" {
		t.Errorf("a link kept %q without scripts: tell so in the documentation", got)
	}
}

// TestWhatFollowsTheHashComesThroughTheAppsOwnLogin: redirects carry it to the
// login page. From there it goes on with a form that names no action, or with
// the gateway's script.
func TestWhatFollowsTheHashComesThroughTheAppsOwnLogin(t *testing.T) {
	c := startChromium(t)
	const target, place = "/letters?x=1", "#/orders/42?tab=b"
	for _, row := range []struct {
		name    string
		form    string
		site    string
		scripts bool
		arrives string
	}{
		{"with the script", `<form method="post" action="/login.php">`, "inject_step_up", true, place},
		{"without an action", `<form method="post">`, "", false, place},
		{"with neither", `<form method="post" action="/login.php">`, "", true, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			app := &office{}
			g := startGateway(t, officeVariant("enrolment self", "enrolment self\n\t\t"+row.site), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				answer := httptest.NewRecorder()
				app.ServeHTTP(answer, r)
				for name, values := range answer.Header() {
					w.Header()[name] = values
				}
				w.Header().Set("Content-Type", "text/html")
				w.WriteHeader(answer.Code)
				body := strings.Replace(answer.Body.String(), `<form method="post" action="/login.php">`, row.form, 1)
				io.WriteString(w, "<!doctype html><title>Office</title>"+strings.Replace(body, "</form>", "<button>Go</button></form>", 1))
			}))
			b := c.profile(t, looks{1280, row.scripts, false})
			b.open(g.url + target + place)
			if b.url().Path != "/login.php" {
				t.Fatalf("at %s", b.url())
			}
			b.fillAnywhere("user", "joe", "pass", "wrong")
			b.press("button").says("Invalid password")
			b.fillAnywhere("user", "joe", "pass", officePasswords["joe"])
			b.press("button").stands(target, `as "joe"`)
			if got := evaluate[string](b, "location.hash"); got != row.arrives {
				t.Errorf("%q is left, want %q", got, row.arrives)
			}
		})
	}
}

// TestWhatFollowsTheHashSurvivesASignInElsewhere goes to an issuer and back: at
// once, by way of another site, and from a button of the sign-in page.
func TestWhatFollowsTheHashSurvivesASignInElsewhere(t *testing.T) {
	c := startChromium(t)
	g, i := issuerGateway(t)
	other := "http://" + freeAddress(t)
	const target, place = "/letters?x=1", "#/orders/42?tab=b#c"
	joined := other + ` {
	stepgate {
		sign_in_at {{site}}
		policy {
			default signed_in
		}
	}
	reverse_proxy {{upstream}}
}
`
	alone := strings.Replace(issuerSite(i), "require mfa       /cases/*", "default signed_in", 1)
	beside := strings.Replace(alone, "{\n\tstepgate {\n", "{\n\tstepgate {\n\t\tsign_in local\n", 1)
	walk := func(t *testing.T, b *tab, site, arrives string) {
		t.Helper()
		b.open(site + target + place)
		if b.url().Path == "/.stepgate/sign-in" {
			b.press(`button[value="oidc"]`)
		}
		if got := b.url(); !strings.HasPrefix(got.String(), i.URL) || got.Fragment != "" {
			t.Fatalf("at %s, not at the issuer:\n%s", got, b.text())
		}
		for strings.HasPrefix(b.url().String(), i.URL) {
			if evaluate[bool](b, `document.querySelector("[name=login]") !== null`) {
				b.fillAnywhere("login", "ann", "password", "any")
			}
			b.press(`[type="submit"]`)
		}
		if got, want := evaluate[string](b, "location.href"), site+target+arrives; got != want {
			t.Fatalf("at %s, want %s:\n%s", got, want, b.text())
		}
		if left := evaluate[int](b, "sessionStorage.length"); left != 0 {
			t.Errorf("%d entries are left in the tab", left)
		}
	}
	for _, row := range []struct {
		name, sites, at string
		scripts         bool
		arrives         string
	}{
		{"at once", alone, g.url, true, place},
		{"from a button", beside, g.url, true, place},
		{"by another site", alone + joined, other, true, place},
		{"at once, without scripts", alone, g.url, false, ""},
		{"by another site, without scripts", alone + joined, other, false, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			g.load(row.sites)
			walk(t, c.profile(t, looks{1280, row.scripts, false}), row.at, row.arrives)
		})
	}
}

// TestWhatFollowsTheHashSurvivesASAMLSignIn: the provider's answer comes as a
// form that another site posts.
func TestWhatFollowsTheHashSurvivesASAMLSignIn(t *testing.T) {
	c := startChromium(t)
	g, p := samlGateway(t)
	g.load(strings.Replace(samlSite(p), "require mfa       /cases/*", "default signed_in", 1))
	const target, place = "/letters?x=1", "#/orders/42?tab=b#c"
	for _, row := range []struct {
		name    string
		scripts bool
		arrives string
	}{
		{"with scripts", true, place},
		{"without", false, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := c.profile(t, looks{1280, row.scripts, false}).open(g.url + target + place)
			if got := b.url(); !strings.HasPrefix(got.String(), p.URL) || got.Fragment != "" {
				t.Fatalf("at %s, not at the provider:\n%s", got, b.text())
			}
			if evaluate[bool](b, `document.querySelector("[name=login]") !== null`) {
				b.fillAnywhere("login", "ann")
				b.press("button")
			}
			if !row.scripts {
				b.press("[type=submit]")
			}
			b.awaitURL("/letters")
			if got, want := evaluate[string](b, "location.href"), g.url+target+row.arrives; got != want {
				t.Errorf("at %s, want %s:\n%s", got, want, b.text())
			}
			if left := evaluate[int](b, "sessionStorage.length"); left != 0 {
				t.Errorf("%d entries are left in the tab", left)
			}
		})
	}
}

// TestPagesThatLeadOnCanBeRead looks at the pages that are left by themselves
// in a browser that did not get the script: they have words, and a link that
// leads on.
func TestPagesThatLeadOnCanBeRead(t *testing.T) {
	c, axe := startChromium(t), legacytest.Axe(t)
	g, p := samlGateway(t)
	g.load(strings.Replace(samlSite(p), "require mfa       /cases/*", "default signed_in", 1))
	for _, row := range []struct {
		looks
		language, leaving, returned, goOn string
	}{
		{looks{1280, true, false}, "en", "You go on to sign in", "You are signed in", "Go on"},
		{looks{360, true, true}, "cy", "Rydych yn mynd ymlaen i fewngofnodi", "Rydych wedi mewngofnodi", "Mynd ymlaen"},
	} {
		t.Run(row.String(), func(t *testing.T) {
			b := c.profile(t, row.looks)
			call(b, network.Enable, network.EnableParams{})
			call(b, network.SetExtraHTTPHeaders, network.SetExtraHTTPHeadersParams{Headers: network.Headers{"Accept-Language": row.language}})
			call(b, network.SetBlockedURLs, network.SetBlockedURLsParams{URLPatterns: []*network.BlockPattern{{URLPattern: g.url + "/.stepgate/*.js", Block: true}}})
			reads := func(name, title string) {
				t.Helper()
				b.says(row.goOn).shoot(name).judge(axe, name)
				if got := evaluate[string](b, `document.title`); !strings.HasPrefix(got, title+" – ") {
					t.Errorf("%s has the title %q", name, got)
				}
				b.tabTo("main a.button")
			}
			b.do(chromedp.Navigate(g.url + "/letters"))
			reads("leaving", row.leaving)
			// What the script would do.
			evaluate[bool](b, `document.querySelector("main a.button").href += document.querySelector("main a.button").dataset.leaves; true`)
			b.do(chromedp.Click(chromedp.CSS("main a.button")), chromedp.WaitReady(chromedp.CSS("[name=login], main a[data-returns]")))
			if evaluate[bool](b, `document.querySelector("[name=login]") !== null`) {
				b.fillAnywhere("login", "ann")
				b.do(chromedp.Click(chromedp.CSS("button")))
			}
			b.do(chromedp.WaitReady(chromedp.CSS("main a[data-returns]")))
			reads("returned", row.returned)
			b.press("main a.button").stands("/letters", "")
		})
	}
}
