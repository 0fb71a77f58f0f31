package caddymodule

import (
	"crypto/md5"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stepgate/stepgate/internal/legacytest"
)

func asBasic(who legacytest.Account) func(*http.Request) {
	return func(r *http.Request) { r.SetBasicAuth(who.Username, who.Password) }
}

func TestTomcatsManagerBehindTheGateway(t *testing.T) {
	g, app := startExample(t, "tomcat-manager", func(o legacytest.Options) *legacytest.App { return legacytest.StartTomcatManager(t, o) })
	admin, joe := app.Accounts[0], app.Accounts[1]
	wrong := legacytest.Account{Username: "admin", Password: "not-the-password"}

	b := g.browser()
	p := b.get("/manager/status")
	if p.status != http.StatusUnauthorized || !strings.HasPrefix(p.header.Get("WWW-Authenticate"), "Basic realm=") {
		t.Fatalf("a stranger gets %d %q", p.status, p.header.Get("WWW-Authenticate"))
	}
	for _, path := range []string{"/manager/status", "/manager/html"} {
		if p := b.get(path, asBasic(wrong)); p.status != http.StatusUnauthorized || b.signedIn() {
			t.Errorf("a wrong password at %s: %d", path, p.status)
		}
	}
	b.get("/manager/status", asBasic(admin)).want(200, "/manager/status").wantBody("Server Status")
	b.get("/.stepgate/status", fetch).wantBody(`"username":"admin"`)
	b.enrol(b.get("/manager/html", asBasic(admin)).atEnrolment())
	b.get("/manager/html", asBasic(admin)).want(200, "/manager/html").wantBody("/manager")

	// A password alone reaches what a password may, by no way more.
	thief := g.browser()
	for _, path := range []string{"/manager/text/list", "/manager/html", "/manager/text/stop?path=/manager"} {
		if p := thief.get(path, fetch, asBasic(admin)); p.status != http.StatusUnauthorized || strings.Contains(p.body, "OK -") {
			t.Errorf("%s: %d %.100s", path, p.status, p.body)
		}
	}
	// Nor does it in the session of somebody else.
	other := g.browser()
	other.get("/manager/status", asBasic(joe)).want(200, "/manager/status")
	if p := b.get("/manager/status", asBasic(joe)).want(200, "/manager/status"); p.status == 200 {
		b.get("/.stepgate/status", fetch).wantBody(`"username":"joe"`).wantBody(`"levels":["signed_in"]`)
	}
	if p := other.get("/manager/css/manager.css", asBasic(admin)); p.status != http.StatusOK {
		t.Errorf("a public path: %d", p.status)
	}
	t.Run("programs without cookies", func(t *testing.T) { programs(t, g, joe) })
}

// programs call often, and begin one session.
func programs(t *testing.T, g *rig, who legacytest.Account) {
	t.Helper()
	begun := 0
	for range 5 {
		p := g.browser().get("/manager/status", fetch, asBasic(who)).want(200, "")
		if p.header["Set-Cookie"] != nil && strings.Contains(strings.Join(p.header["Set-Cookie"], " "), "stepgate") {
			begun++
		}
	}
	if begun != 1 {
		t.Errorf("%d sessions began", begun)
	}
}

const digestSite = `{{site}} {
	stepgate {
		enrolment self
		sign_in upstream_basic {
			probe /index.html
		}
		policy {
			require signed_in /index.html
			default mfa
		}
	}
	reverse_proxy {{upstream}}
}
`

func TestDigestServerBehindTheGateway(t *testing.T) {
	if testing.Short() {
		t.Skip("starts Apache")
	}
	app := legacytest.StartApacheDigest(t, legacytest.Options{})
	at, err := url.Parse(app.URL)
	if err != nil {
		t.Fatal(err)
	}
	g := startGateway(t, digestSite, httputil.NewSingleHostReverseProxy(at))
	joe, ann := app.Accounts[0], app.Accounts[1]
	b := g.browser()
	p := b.get("/cases/1001.html")
	if p.status != http.StatusUnauthorized || !strings.HasPrefix(p.header.Get("WWW-Authenticate"), "Digest ") {
		t.Fatalf("a stranger gets %d %q", p.status, p.header.Get("WWW-Authenticate"))
	}
	nonce := regexp.MustCompile(`nonce="([^"]+)"`).FindStringSubmatch(p.header.Get("WWW-Authenticate"))[1]
	wrong := legacytest.Account{Username: "joe", Password: "not-the-password"}
	if p := b.get("/index.html", asDigest(wrong, nonce)); p.status != http.StatusUnauthorized || b.signedIn() {
		t.Errorf("a wrong password: %d", p.status)
	}
	b.get("/index.html", asDigest(joe, nonce)).want(200, "/index.html").wantBody("The archive")
	b.get("/.stepgate/status", fetch).wantBody(`"username":"joe"`)
	if p := b.get("/cases/1001.html", fetch, asDigest(joe, nonce)); p.status != http.StatusUnauthorized || !strings.Contains(p.body, "mfa") {
		t.Errorf("a password alone: %d %s", p.status, p.body)
	}
	b.enrol(b.get("/.stepgate/enrol").atEnrolment())
	b.get("/cases/1001.html", asDigest(joe, nonce)).want(200, "").wantBody("Ashdown")
	// Somebody else's password in joe's session is somebody else's sign-in.
	b.get("/index.html", asDigest(ann, nonce)).want(200, "/index.html")
	b.get("/.stepgate/status", fetch).wantBody(`"username":"ann"`).wantBody(`"levels":["signed_in"]`)
}

// asDigest answers a Digest question for the request that it is (RFC 7616
// §3.4.1).
func asDigest(who legacytest.Account, nonce string) func(*http.Request) {
	return func(r *http.Request) {
		hash := func(text string) string { return fmt.Sprintf("%x", md5.Sum([]byte(text))) }
		uri := r.URL.RequestURI()
		first, second := hash(who.Username+":"+legacytest.DigestRealm+":"+who.Password), hash(r.Method+":"+uri)
		response := hash(first + ":" + nonce + ":00000001:0a4f113b:auth:" + second)
		r.Header.Set("Authorization", fmt.Sprintf(`Digest username="%s", realm="%s", nonce="%s", uri="%s", algorithm=MD5, response="%s", qop=auth, nc=00000001, cnonce="0a4f113b"`,
			who.Username, legacytest.DigestRealm, nonce, uri, response))
	}
}
