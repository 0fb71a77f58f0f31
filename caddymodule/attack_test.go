package caddymodule

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/stepgate/stepgate/internal/gate"
)

// raw sends bytes as they are and returns the answer's status and body.
func (g *rig) raw(request string) (status int, body string) {
	g.t.Helper()
	conn, err := net.DialTimeout("tcp", strings.TrimPrefix(g.url, "http://"), patience)
	if err != nil {
		g.t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, strings.ReplaceAll(request, "HOST", strings.TrimPrefix(g.url, "http://"))); err != nil {
		g.t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		g.t.Fatalf("%q: %v", request, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		g.t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

func TestForgedIdentityNeverArrives(t *testing.T) {
	g := startGateway(t, walkSite, nil)
	for _, name := range []string{
		"Remote-User", "remote-user", "REMOTE-USER", "Remote_User", "Remote.User", "Remote!User", "remote~user", "Remote-Groups", "Remote_Name",
		"Remote*Email", "Stepgate-Assertion", "stepgate_assertion", "Stepgate.Assertion",
	} {
		for _, value := range []string{name + ": evil\r\n", name + ": evil\r\n" + name + ": evil2\r\n"} {
			g.raw("GET /assets/x HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n" + value + "\r\n")
			for got, values := range g.last().Header {
				for _, v := range values {
					if strings.Contains(v, "evil") {
						t.Errorf("%s arrived as %s", name, got)
					}
				}
			}
		}
	}
}

func TestWhatNamesAnotherPathOrMethodIsWithheldOrJudged(t *testing.T) {
	site := strings.Replace(walkSite, "deny              /debug/*", "deny              /debug/*\n\t\t\tdeny DELETE       /assets/*", 1)
	g := startGateway(t, site, nil)
	for _, name := range []string{"X-Original-URL", "X-Rewrite-URL", "x!original!url", "X-Forwarded-Uri", "X-Script-Name", "Script_Name", "X-Replaced-Path"} {
		g.raw("GET /assets/x HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n" + name + ": /admin\r\n\r\n")
		for got, values := range g.last().Header {
			if values[0] == "/admin" {
				t.Errorf("%s arrived as %s", name, got)
			}
		}
	}
	for _, name := range []string{"X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method", "x!http!method!override"} {
		if status, _ := g.raw("POST /assets/x HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\nContent-Length: 0\r\n" + name + ": delete\r\n\r\n"); status != 403 {
			t.Errorf("%s: status %d", name, status)
		}
	}
	for _, body := range []string{"_method=DELETE", "a=1&_method=delete", "%5fmethod=DELETE"} {
		request := "POST /assets/x HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: " + fmt.Sprint(len(body)) + "\r\n\r\n" + body
		if status, _ := g.raw(request); status != 403 {
			t.Errorf("%s: status %d", body, status)
		}
	}
}

func TestForgedIdentityInTrailersNeverArrives(t *testing.T) {
	trailers := make(chan http.Header, 1)
	g := startGateway(t, walkSite, nil)
	g.upstream.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		trailers <- r.Trailer.Clone()
	})
	g.raw("POST /assets/x HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\nTransfer-Encoding: chunked\r\nTrailer: Remote-User, X-Sum\r\n\r\n" +
		"1\r\na\r\n0\r\nRemote-User: evil\r\nX-Sum: 12\r\nRemote_user: evil\r\n\r\n")
	got := <-trailers
	for name, values := range got {
		if gate.FoldHeader(name) == "remote-user" {
			t.Errorf("trailer %s: %q", name, values)
		}
	}
	if got.Get("X-Sum") != "12" {
		t.Errorf("an honest trailer was lost: %v", got)
	}
}

func TestConnectionCannotRemoveIdentity(t *testing.T) {
	g := startGateway(t, walkSite, nil)
	g.addUser("joe")
	b := g.browser()
	b.enrol(b.signIn(b.get("/cases/1"), "joe")).want(200, "/cases/1")
	cookie := sessionCookie(t, b)
	g.last()
	g.raw("GET /cases/1 HTTP/1.1\r\nHost: HOST\r\nConnection: close, Remote-User, Cookie, Stepgate-Assertion\r\nCookie: app=1; " + cookie + "; $x=2\r\n\r\n")
	got := g.last()
	if got == nil || got.Header.Get("Remote-User") != "joe" || got.Header.Get("Stepgate-Assertion") == "" {
		t.Fatalf("identity was removed: %v", got)
	}
	if c := got.Header.Get("Cookie"); c != "app=1; $x=2" {
		t.Errorf("Cookie: %q", c)
	}
}

func sessionCookie(t testing.TB, b *browser) string {
	t.Helper()
	for _, c := range b.jar.Cookies(mustParse(b.base)) {
		if strings.HasPrefix(c.Name, "stepgate") && !strings.Contains(c.Name, "visit") {
			return c.Name + "=" + c.Value
		}
	}
	t.Fatal("no session cookie")
	return ""
}

func TestAssertionHoldsForTheUpstream(t *testing.T) {
	g := startGateway(t, walkSite, nil)
	joe := g.addUser("joe")
	b := g.browser()
	b.enrol(b.signIn(b.get("/cases/1"), "joe")).want(200, "/cases/1")
	token := g.last().Header.Get("Stepgate-Assertion")
	var keys jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(b.get("/.stepgate/jwks.json", fetch).body), &keys); err != nil {
		t.Fatal(err)
	}
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	payload, err := signed.Verify(keys)
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{
		"iss": g.url, "aud": g.url, "sub": string(joe.ID), "preferred_username": "joe", "acr": "signed_in mfa fresh_code", "org": "default",
	} {
		if name == "acr" {
			if got := strings.Fields(claims["acr"].(string)); len(got) != 3 {
				t.Errorf("acr: %v", got)
			}
			continue
		}
		if claims[name] != want {
			t.Errorf("%s: %v, want %v", name, claims[name], want)
		}
	}
	if life := claims["exp"].(float64) - claims["iat"].(float64); life > 60 {
		t.Errorf("it lives for %v seconds", life)
	}
	if diff := cmp.Diff([]any{"pwd", "otp", "mfa"}, claims["amr"]); diff != "" {
		t.Error(diff)
	}
	// Within half a minute it is signed once, unless the session is read anew: when
	// this node hears of its own change to it, that may be once.
	waitFor(t, func() bool {
		before := token
		b.get("/cases/2").want(200, "/cases/2")
		token = g.last().Header.Get("Stepgate-Assertion")
		return token == before
	})
	var key struct{ Keys []map[string]any }
	json.Unmarshal([]byte(b.get("/.stepgate/jwks.json", fetch).body), &key)
	if _, private := key.Keys[0]["d"]; private {
		t.Error("the private key is public")
	}
}

func TestUpstreamReceivesTheClientsBytes(t *testing.T) {
	g := startGateway(t, strings.Replace(walkSite, "/assets/*", "/assets/* /x/*", 1), nil)
	for sent, want := range map[string]string{
		"/assets/caf%C3%A9":       "/assets/caf%C3%A9",
		"/assets/caf%c3%a9":       "/assets/caf%c3%a9",
		"/assets/a%20b+c":         "/assets/a%20b+c",
		"/assets/a;jsessionid=1":  "/assets/a;jsessionid=1",
		"/assets/a%2Fb":           "/assets/a%2Fb",
		"/assets/a%2Fb|c{d}\"e":   "/assets/a%2Fb%7Cc%7Bd%7D%22e",
		"/assets/a%7cb|c":         "/assets/a%7cb%7Cc",
		"/assets/!'()*~":          "/assets/!'()*~",
		"/assets/100%25":          "/assets/100%25",
		"/assets//a///b":          "/assets//a///b",
		"/assets/x?a=%2F&b=|&c;d": "/assets/x?a=%2F&b=|&c;d",
		"/assets/x?":              "/assets/x?",
		"/assets/%41":             "/assets/%41",
		"/assets/[a]:@&=$,":       "/assets/[a]:@&=$,",
	} {
		status, body := g.raw("GET " + sent + " HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n")
		got := g.last()
		if got == nil || got.Line != "GET "+want {
			t.Errorf("%s: status %d, the upstream got %v (%.100s)", sent, status, got, body)
		}
	}
}

func TestPathsInTheSitesCharsetArriveAsTheyAre(t *testing.T) {
	site := strings.Replace(walkSite, "policy {", "path_charset windows-1252\n\t\tpolicy {", 1)
	g := startGateway(t, strings.Replace(site, "/assets/*", "/assets/büro.pdf", 1), nil)
	for target, status := range map[string]int{"/assets/b%FCro.pdf": 200, "/assets/B%C3%9CRO.pdf": 401, "/assets/b%C0%AFro.pdf": 400, "/assets/other%FC": 401} {
		got, body := g.raw("GET " + target + " HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n")
		if got != status || got == 200 && body != "upstream GET "+target {
			t.Errorf("%s: %d %q, want %d", target, got, body, status)
		}
	}
}

func TestMalformedTargetsAreRefused(t *testing.T) {
	g := startGateway(t, strings.Replace(walkSite, "public            /assets/*", "public /*", 1), nil)
	for _, target := range []string{
		"/a/../b", "/a/%2e%2e/b", "/a/..;x=1/b", "/a/.%2e/b", "/a\\b", "/a%5cb", "/a%00b", "/a%0ab", "/%c0%af", "/%zz", "/%u0061", "//evil/x", "/a#b",
		"http://HOST/x", "/caf\xc3\xa9", "/a%252e%252e/b%252e%252e/", "/./a", "/a/%2e", "/.stepgate/../a", "/.STEPGATE/sign-in", "/.stepgate%2fsign-in",
		"/.stepgate;x/sign-in", "/%2estepgate/sign-in", "/x.php/.stepgate/sign-in",
	} {
		status, body := g.raw("GET " + target + " HTTP/1.1\r\nHost: HOST\r\nAccept: text/html\r\nConnection: close\r\n\r\n")
		if got := g.last(); got != nil {
			t.Errorf("%s reached the upstream as %s", target, got.Line)
		}
		if status != 400 {
			t.Errorf("%s: status %d (%.80s)", target, status, body)
		}
	}
	for _, twice := range []string{"Host: HOST\r\nHost: HOST", "Host: HOST\r\nHost: evil"} {
		if status, _ := g.raw("GET / HTTP/1.1\r\n" + twice + "\r\nConnection: close\r\n\r\n"); status != 400 {
			t.Errorf("%q: status %d", twice, status)
		}
	}
}

func TestUpstreamCannotSpeakForTheGateway(t *testing.T) {
	g := startGateway(t, walkSite, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Add("Set-Cookie", "app=1; Path=/")
		h.Add("Set-Cookie", "stepgate=evil; Path=/")
		h.Add("Set-Cookie", "=stepgate=evil; Path=/")
		h.Add("Set-Cookie", " = stepgate-8080=evil; Path=/")
		h.Add("Set-Cookie", " __Host-StepGate=evil; Path=/; Secure")
		h.Add("WWW-Authenticate", `Basic realm="the stepgate app"`)
		h.Add("WWW-Authenticate", `Digest a=1, Stepgate error="x"`)
		h.Set("Service-Worker-Allowed", "/")
		io.WriteString(w, "x")
	}))
	p := g.browser().get("/assets/x")
	if diff := cmp.Diff([]string{"app=1; Path=/"}, p.header["Set-Cookie"]); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{`Basic realm="the stepgate app"`}, p.header["Www-Authenticate"]); diff != "" {
		t.Error(diff)
	}
	if p.header.Get("Service-Worker-Allowed") != "" || p.header.Get("Cache-Control") != "" {
		t.Errorf("headers: %v", p.header)
	}
	g.addUser("joe")
	b := g.browser()
	p = b.signIn(b.get("/"), "joe").want(200, "/")
	if p.header.Get("Cache-Control") != "private, no-cache" {
		t.Errorf("Cache-Control: %q", p.header.Get("Cache-Control"))
	}
}

func TestBrokenCookiesAreNobody(t *testing.T) {
	g := startGateway(t, walkSite, nil)
	g.addUser("joe")
	b := g.browser()
	b.signIn(b.get("/"), "joe").want(200, "/")
	good := sessionCookie(t, b)
	name, value, _ := strings.Cut(good, "=")
	if status, _ := g.raw("GET / HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\nCookie: " + good + "\r\n\r\n"); status != 200 {
		t.Fatalf("the good cookie: %d", status)
	}
	flipped := []byte(value)
	flipped[len(flipped)/2] ^= 1
	for _, cookie := range []string{
		name + "=", name + "=x", name + "=" + string(flipped), name + "=" + value[:len(value)-2], good + "; " + good, "X-" + good,
		name + "=" + strings.Repeat("A", 4000), name + "=" + base64.RawURLEncoding.EncodeToString(make([]byte, 100)), "__Host-" + good,
	} {
		if status, _ := g.raw("GET / HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\nCookie: " + cookie + "\r\n\r\n"); status != 401 {
			t.Errorf("%.60s: status %d", cookie, status)
		}
	}
}

func TestBadFormsGetTheirStatusAndNoPageFails(t *testing.T) {
	g := startGateway(t, walkSite, nil)
	g.addUser("joe")
	b := g.browser()
	p := b.get("/cases/1").at("/sign-in")
	_, form := p.form("username")
	form.Set("username", "joe")
	form.Set("password", password1)
	encoded := form.Encode()
	post := func(target, contentType, body string, change ...func(*http.Request)) *page {
		return b.do("POST", target, nil, append([]func(*http.Request){func(r *http.Request) {
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
			r.Header.Set("Content-Type", contentType)
			r.Header.Set("Origin", b.base)
		}}, change...)...)
	}
	const urlencoded = "application/x-www-form-urlencoded"
	for _, row := range []struct {
		name   string
		page   *page
		status int
	}{
		{"another type", post("/.stepgate/sign-in", "application/json", `{"username":"joe"}`), 415},
		{"too large", post("/.stepgate/sign-in", urlencoded, encoded+"&x="+strings.Repeat("a", 64<<10)), 413},
		{"a field twice", post("/.stepgate/sign-in", urlencoded, encoded+"&username=eve"), 400},
		{"not UTF-8", post("/.stepgate/sign-in", urlencoded, encoded+"&x=%ff"), 400},
		{"no token", post("/.stepgate/sign-in", urlencoded, "username=joe&password=x"), 403},
		{"another site", post("/.stepgate/sign-in", urlencoded, encoded, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }), 403},
		{"another origin", post("/.stepgate/sign-in", urlencoded, encoded, func(r *http.Request) {
			r.Header.Del("Sec-Fetch-Site")
			r.Header.Set("Origin", "http://evil.test")
		}), 403},
		{"a script", post("/.stepgate/sign-in", urlencoded, encoded, fetch), 403},
		{"an unknown page", b.get("/.stepgate/nothing"), 404},
		{"another method", b.do("DELETE", "/.stepgate/challenge", nil), 405},
		{"a continuation that is none", b.get("/.stepgate/sign-in?c=AAAA"), 200},
		{"a challenge of nobody", b.get("/.stepgate/challenge/totp?c=zz"), 200},
	} {
		if row.page.status != row.status {
			t.Errorf("%s: status %d, want %d", row.name, row.page.status, row.status)
		}
	}
	if got := g.last(); got != nil {
		t.Errorf("the upstream got %s", got.Line)
	}
	post("/.stepgate/sign-in", urlencoded, encoded).atEnrolment()
}

func TestFloodOfSignInsIsThrottled(t *testing.T) {
	g := startGateway(t, walkSite, nil)
	g.addUser("joe")
	b := g.browser()
	p := b.get("/cases/1")
	for try := range 15 {
		p = b.submit(b.get("/cases/1"), "username", map[string]string{"username": "joe", "password": fmt.Sprint("wrong", try)})
		if p.status == http.StatusTooManyRequests {
			break
		}
	}
	if p.status != http.StatusTooManyRequests || p.header.Get("Retry-After") == "" {
		t.Fatalf("status %d after many wrong passwords", p.status)
	}
	if p = b.signIn(b.get("/cases/1"), "joe"); p.status != http.StatusTooManyRequests {
		t.Errorf("the right password got %d while the budget is spent", p.status)
	}
}
