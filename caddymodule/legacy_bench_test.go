package caddymodule

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// weldedGateway is the office behind the gate, and the headers of joe.
func weldedGateway(tb testing.TB) (*Handler, *rig, *http.Request, http.Header) {
	tb.Helper()
	g := startGateway(tb, officeSite, &office{})
	b := g.browser()
	b.signInAtOffice("joe").want(200, "/home.php")
	header := http.Header{
		"Cookie": {officeCookie + "=" + b.cookie(officeCookie) + "; " + g.sessionCookie() + "=" + b.cookie(g.sessionCookie())},
		"Accept": {"text/html"}, "User-Agent": {"Mozilla/5.0"}, "Accept-Language": {"en-GB"},
		"Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"document"},
	}
	r := httptest.NewRequest("GET", "/reports/1?page=2", nil)
	r.Host = strings.TrimPrefix(g.url, "http://")
	return gateOnly(tb), g, serverRequest(r), header
}

// A welded request costs no read of the store either, and no more allocations
// than another.
func TestWeldedRequestReadsNoStore(t *testing.T) {
	h, g, request, header := weldedGateway(t)
	g.loseStore(h, request, header)
	around := testing.AllocsPerRun(200, func() { aroundAllow(request, header) })
	if allocs := testing.AllocsPerRun(200, func() { allow(t, h, request, header) }) - around; allocs > 1 {
		t.Errorf("the gate allocates %v times a request", allocs)
	}
}

// BenchmarkWelded is what the gate adds to a request of somebody who signed in
// at the app, beside one of somebody at a site without a watched form, turn and
// turn about: what counts is the ratio. What the benchmark itself costs is
// BenchmarkAllow's baseline, and is in both.
func BenchmarkWelded(b *testing.B) {
	for name, option := range map[string]string{"plain": "", "sealed": "\n\t\t\tseal_cookies"} {
		b.Run(name, func(b *testing.B) { benchWelded(b, option) })
		if err := stopGateway(); err != nil {
			b.Fatal(err)
		}
	}
}

func benchWelded(b *testing.B, option string) {
	const many = 1000
	other := "http://" + freeAddress(b)
	site := other + " {\n\tstepgate {\n\t\tpolicy {\n\t\t\tdefault signed_in\n\t\t}\n\t}\n\treverse_proxy {{upstream}}\n}\n\n"
	g := startGateway(b, site+officeVariant("login_page /login.php", "login_page /login.php"+option), &office{})
	g.addUser("local")
	first, second := g.browser(), g.browser()
	first.base = other
	first.signIn(first.get("/reports/1"), "local")
	second.signInAtOffice("joe").want(http.StatusOK, "/home.php")
	header := func(who *browser) http.Header {
		session := "stepgate-" + mustParse(who.base).Port()
		return http.Header{
			"Cookie": {officeCookie + "=" + second.cookie(officeCookie) + "; " + session + "=" + who.cookie(session)},
			"Accept": {"text/html"}, "User-Agent": {"Mozilla/5.0"}, "Accept-Language": {"en-GB"},
			"Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"document"},
		}
	}
	var pass [2]func()
	for which, who := range []*browser{first, second} {
		h, name, sent := siteAt(b, who.base), []string{"local", "joe"}[which], header(who)
		r := httptest.NewRequest("GET", "/reports/1?page=2", nil)
		r.Host = strings.TrimPrefix(who.base, "http://")
		pass[which] = func() {
			served := serverRequest(r) // a replacer of its own, as each has
			for range 20 {
				allowAs(b, h, served, sent, name)
			}
		}
	}
	var took turns
	for b.Loop() {
		took.measure(func(which int) {
			for range many / 20 {
				pass[which]()
			}
		})
	}
	took.report(b, many)
}

// BenchmarkWatchedLogin is a whole sign-in over HTTP, at the app itself and
// at the app behind the gateway.
func BenchmarkWatchedLogin(b *testing.B) {
	for name, site := range map[string]string{
		"probe": officeSite, "no identity": officeVariant(`identity probe /profile.php "Signed in as <b>(.+?)</b>"`, ""),
	} {
		g := startGateway(b, site, &office{})
		g.addUser("joe", ofSource("legacy_form"))
		b.Run("watched, "+name, func(b *testing.B) { postLogins(b, g.url) })
		if err := stopGateway(); err != nil {
			b.Fatal(err)
		}
	}
	app := httptest.NewServer(&office{})
	defer app.Close()
	b.Run("direct", func(b *testing.B) { postLogins(b, app.URL) })
}

func postLogins(b *testing.B, base string) {
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	form := url.Values{"user": {"joe"}, "pass": {officePasswords["joe"]}}
	for b.Loop() {
		response, err := client.PostForm(base+"/login.php", form)
		if err != nil {
			b.Fatal(err)
		}
		io.Copy(io.Discard, response.Body)
		response.Body.Close()
		if response.StatusCode != http.StatusFound {
			b.Fatalf("status %d", response.StatusCode)
		}
	}
}
