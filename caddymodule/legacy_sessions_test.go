package caddymodule

import (
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/stepgate/stepgate/internal/legacytest"
)

// startPHPOffice runs the site of the office before PHP's own sessions.
func startPHPOffice(t *testing.T, site string) (*rig, *url.URL) {
	t.Helper()
	if testing.Short() {
		t.Skip("starts PHP")
	}
	at, err := url.Parse(legacytest.StartPHPOffice(t))
	if err != nil {
		t.Fatal(err)
	}
	return startGateway(t, site, &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(at) }}), at
}

// phpSession signs in at PHP itself and gives the session's id.
func phpSession(t *testing.T, at *url.URL, name string) string {
	t.Helper()
	resp, err := http.PostForm(at.String()+"/login.php", url.Values{"user": {name}, "pass": {officePasswords[name]}})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for _, c := range resp.Request.Response.Cookies() {
		if c.Name == officeCookie {
			return c.Value
		}
	}
	t.Fatal("PHP let nobody in")
	return ""
}

func TestPHPFindsNoSessionThatTheWeldDoesNot(t *testing.T) {
	g, at := startPHPOffice(t, officeSite)
	ann := phpSession(t, at, "ann")
	joe := g.browser()
	joe.signInAtOffice("joe").want(200, "/home.php")
	b := enrolled(t, g, "mallory")
	without := b.cookieLine(g, "a=b")
	for _, target := range []string{
		"?OFFICESESS=", "?+OFFICESESS=", "?OFFICESESS%00%=", "?OFFICESESS%00;=", "?a=b&%4fFFICESESS%00%zz=", "?OFFICESESS%00%25=", "?%20OFFICESESS=",
	} {
		for _, id := range []string{ann, joe.cookie(officeCookie)} {
			if p := b.get("/cases/1"+target+id, without); p.status != 403 && p.status != 400 {
				t.Errorf("%s: %d %.80s", target, p.status, p.body)
			}
		}
		if p := b.get("/public/x"+target+joe.cookie(officeCookie), without); strings.Contains(p.body, "joe") {
			t.Errorf("%s on a public path: %s", target, p.body)
		}
	}
	multipart := func(r *http.Request) {
		r.Header.Set("Content-Type", "multipart/form-data; boundary=xx")
		without(r)
	}
	part := func(name string) string {
		return "--xx\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + ann + "\r\n--xx--\r\n"
	}
	for name, p := range map[string]*page{
		"form":           b.raw("/cases/1", "OFFICESESS="+ann, without),
		"blank":          b.raw("/cases/1", "x=y&+OFFICESESS="+ann, without),
		"broken escape":  b.raw("/cases/1", "OFFICESESS%00%="+ann, without),
		"long form":      b.raw("/cases/1", strings.Repeat("a=b&", 30<<10)+"OFFICESESS="+ann, without),
		"multipart":      b.raw("/cases/1", part("OFFICESESS"), multipart),
		"long multipart": b.raw("/cases/1", strings.Repeat("--xx\r\nContent-Disposition: form-data; name=\"pad\"\r\n\r\nv\r\n", 2<<10)+part("OFFICESESS"), multipart),
		"at the login":   b.raw("/login.php", "user=mallory&pass=wrong&OFFICESESS="+ann, without),
	} {
		if p.status < 400 && name != "at the login" || strings.Contains(p.body, `as "ann"`) {
			t.Errorf("%s: %d %.80s", name, p.status, p.body)
		}
	}
	for _, name := range []string{"+OFFICESESS", "OFFICESESS%00%", "%4fFFICESESS%00%zz", "OFFICESESS%00", "OFFICESESS[x"} {
		if p := b.get("/cases/1", b.cookieLine(g, name+"="+ann)); strings.Contains(p.body, `as "ann"`) {
			t.Errorf("cookie %s: %s", name, p.body)
		}
	}
	own := b.cookie(officeCookie)
	b.get("/cases/1?OFFICESESS="+own, b.cookieLine(g, officeCookie+"="+own)).wantBody(`as "mallory"`)
}

func TestChangeOfPersonIsNoticedWhilePHPLocksItsSession(t *testing.T) {
	g, _ := startPHPOffice(t, officeVariant("public /public/* /api/*", "public /public/*", "require mfa /cases/*", "require mfa /cases/* /api/*"))
	b := enrolled(t, g, "mallory")
	if p := b.do("POST", "/api/login", url.Values{"x": {"y"}}); p.status != 200 || !strings.Contains(p.body, `as "mallory"`) {
		t.Fatalf("a long page that changes nothing: %d, %d bytes", p.status, len(p.body))
	}
	if p := b.quietly(); p.status != 403 || strings.Contains(p.body, "ann") {
		t.Errorf("%d %.80s", p.status, p.body)
	}
	if p := b.get("/cases/1"); strings.Contains(p.body, "ann") || b.signedIn() {
		t.Errorf("mallory's proofs open ann's %s", p.body)
	}
}

func TestPHPThatKeepsItsIDIsWelded(t *testing.T) {
	g, _ := startPHPOffice(t, officeSite)
	b := enrolled(t, g, "mallory")
	b.quietly()
	if p := b.get("/cases/1"); strings.Contains(p.body, "ann") || b.signedIn() {
		t.Errorf("mallory's proofs open ann's %s", p.body)
	}
	// The same by the form that is watched: ann's session has no proof of mallory's.
	b = g.browser()
	b.signInAtOffice("joe").want(200, "/home.php")
	b.atOffice("ann", officePasswords["ann"]).want(200, "/home.php").wantBody(`as "ann"`)
	b.get("/cases/1").atEnrolment()
}

// PHP says nothing of a session whose page it still writes, however long that
// page is: it waits outside memory, and comes out whole.
func TestLongAnswersWaitUntilPHPLetsGoOfItsSession(t *testing.T) {
	g, _ := startPHPOffice(t, officeVariant("public /public/* /api/*", "public /public/*", "require mfa /cases/*", "require mfa /cases/* /api/*",
		"success status 302 303", "success status 200 302", "success location !/login*", "", `failure body "Invalid password"`, "", "require signed_in /", "require signed_in / /login.php"))
	b := enrolled(t, g, "mallory")
	long := url.Values{"kb": {"20000"}}
	if p := b.do("POST", "/api/login", long); p.status != 200 || len(p.body) < 20_000_000 || !strings.HasSuffix(p.body, `as "mallory"`) {
		t.Fatalf("a page that changes nothing: %d, %d bytes", p.status, len(p.body))
	}
	long.Set("name", "ann")
	long.Set("secret", officePasswords["ann"])
	if p := b.do("POST", "/api/login", long); p.status != 403 || len(p.body) > 1<<20 || b.signedIn() {
		t.Errorf("ann in mallory's session: %d, %d bytes", p.status, len(p.body))
	}
	c := g.browser()
	c.get("/login.php")
	if p := c.do("POST", "/login.php", url.Values{"user": {"joe"}, "pass": {officePasswords["joe"]}, "kb": {"3000"}}); p.status != 200 || len(p.body) != 3_000_000+len("welcome") || c.username() != "joe" {
		t.Errorf("a login that shows a long page: %d, %d bytes, %q", p.status, len(p.body), c.username())
	}
}
