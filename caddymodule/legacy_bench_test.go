package caddymodule

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
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

// A welded request costs no read of the store either.
func TestWeldedRequestReadsNoStore(t *testing.T) {
	h, g, request, header := weldedGateway(t)
	allow(t, h, request, header)
	if err := os.Rename(g.dir+"/stepgate.db", g.dir+"/away.db"); err != nil {
		t.Fatal(err)
	}
	defer os.Rename(g.dir+"/away.db", g.dir+"/stepgate.db")
	around := testing.AllocsPerRun(200, func() { aroundAllow(request, header) })
	if allocs := testing.AllocsPerRun(200, func() { allow(t, h, request, header) }) - around; allocs > 10 {
		t.Errorf("the gate allocates %v times a request", allocs)
	}
}

// BenchmarkWelded is what the gate adds to a request of somebody who signed
// in at the app; BenchmarkAllow is the same without a watched form.
func BenchmarkWelded(b *testing.B) {
	h, _, request, header := weldedGateway(b)
	b.ReportAllocs()
	for b.Loop() {
		allow(b, h, request, header)
	}
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
