package caddymodule

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/fcgi"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/stepgate/stepgate/internal/gate"
)

const assertionHeader = "Stepgate-Assertion"

// loudHead is testHead with everything in a file.
const loudHead = `{
	debug
	admin off
	persist_config off
	auto_https off
	log {
		output file {{dir}}/caddy.log
		format json
	}
	servers {
		log_credentials
	}
	stepgate {
		store sqlite {{dir}}/stepgate.db
	}
}
`

const loudSite = `&(shared) {
	reverse_proxy {{upstream}}
}
{{site}} {
	log
	stepgate {
		policy {
			default signed_in
		}
	}
	handle /named/* {
		invoke shared
	}
	handle /renamed/* {
		reverse_proxy {{upstream}} {
			header_up X-Proof "as {http.stepgate.assertion}"
			header_up -Stepgate-Assertion
		}
	}
	handle /again/* {
		reverse_proxy {{refused}} {{upstream}} {
			lb_policy first
			lb_retries 1
			header_up X-Upstream {upstream_hostport}
		}
	}
	handle /retried/* {
		reverse_proxy {{refused}} {{upstream}} {
			lb_policy first
			lb_retries 1
		}
	}
	handle /failed/* {
		error 500
	}
	reverse_proxy {{upstream}}
	handle_errors {
		reverse_proxy {{upstream}}
	}
}
`

// caddyLog is what Caddy has written into its file.
func (g *rig) caddyLog() string {
	g.t.Helper()
	text, err := os.ReadFile(filepath.Join(g.dir, "caddy.log"))
	if err != nil {
		g.t.Fatal(err)
	}
	return string(text)
}

// wantSecret fails unless an assertion came, and none of it is in the log.
func (g *rig) wantSecret(assertion string) {
	g.t.Helper()
	assertion = strings.TrimPrefix(assertion, "as ")
	if strings.Count(assertion, ".") != 2 {
		g.t.Fatalf("the application was sent %q and no assertion", assertion)
	}
	if strings.Contains(g.caddyLog(), assertion[:strings.LastIndexByte(assertion, '.')]) {
		g.t.Error("the assertion is in the log")
	}
}

func TestNoSecretIsInALogThatTellsEverything(t *testing.T) {
	// Where nobody answers, the proxy asks the next one.
	site := strings.ReplaceAll(loudSite, "{{refused}}", freeAddress(t))
	g := startGateway(t, loudHead+site, nil)
	g.addUser("joe")
	b := g.browser()
	b.signIn(b.get("/cases/1").at("/sign-in"), "joe").want(200, "/cases/1")
	for path, header := range map[string]string{
		"/cases/2":   assertionHeader,
		"/named/1":   assertionHeader,
		"/renamed/1": "X-Proof",
		"/again/1":   assertionHeader,
		"/retried/1": assertionHeader,
		"/failed/1":  assertionHeader,
	} {
		t.Run(path, func(t *testing.T) {
			b.get(path)
			got := g.last()
			if got == nil || got.Line != "GET "+path {
				t.Fatalf("the application got %v", got)
			}
			g.wantSecret(got.Header.Get(header))
		})
	}
	log := g.caddyLog()
	for _, told := range []string{"upstream roundtrip", "handled request", redacted, "log_credentials is left out"} {
		if !strings.Contains(log, told) {
			t.Errorf("%q is not in the log: it does not tell everything", told)
		}
	}
	if cookie := b.cookie(g.sessionCookie()); cookie == "" || strings.Contains(log, cookie) {
		t.Errorf("the session's cookie %.4q is in the log, or there is none", cookie)
	}
}

func TestAnAnswerThatBreaksOffLeavesNoAssertionInTheLog(t *testing.T) {
	head := strings.NewReplacer("\tdebug\n", "", "\tservers {\n\t\tlog_credentials\n\t}\n", "").Replace(loudHead)
	g := startGateway(t, head+walkSite, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery != "broken" {
			return
		}
		w.Header().Set("Content-Length", "100")
		if _, err := w.Write([]byte("half")); err != nil {
			t.Error(err)
		}
	}))
	g.addUser("joe")
	b := g.browser()
	b.signIn(b.get("/").at("/sign-in"), "joe").want(200, "/")
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, g.url+"/?broken", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := b.client.Do(r)
	if err == nil {
		resp.Body.Close()
	}
	assertion := g.last().Header.Get(assertionHeader)
	waitFor(t, func() bool { return strings.Contains(g.caddyLog(), "aborting with incomplete response") })
	g.wantSecret(assertion)
}

func TestFastCGIThatTellsItsEnvironmentIsNotSentTheAssertion(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	seen := make(chan http.Header, 100)
	go fcgi.Serve(l, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen <- r.Header.Clone() }))
	site := strings.Replace(walkSite, "{{upstream}}", l.Addr().String()+" {\n\t\ttransport fastcgi\n\t}", 1)
	g := startGateway(t, site, nil)
	g.addUser("joe")
	b := g.browser()
	b.signIn(b.get("/").at("/sign-in"), "joe").want(200, "/")
	if got := <-seen; got.Get("Remote-User") != "joe" || got.Get(assertionHeader) == "" {
		t.Fatalf("without debug the application was sent %v", got)
	}
	g.load(loudHead + site)
	b.get("/").want(200, "/")
	if got := <-seen; got.Get("Remote-User") != "joe" || got.Get(assertionHeader) != "" {
		t.Errorf("with debug the application was sent %v", got)
	}
	if log := g.caddyLog(); !strings.Contains(log, "HTTP_REMOTE_USER") || strings.Contains(log, "eyJ") {
		t.Error("the environment is not in the log, or it has an assertion")
	}
}

// silent answers at once, and keeps what it was sent.
type silent struct{ sent http.Header }

func (s *silent) RoundTrip(r *http.Request) (*http.Response, error) {
	s.sent = r.Header
	return nil, nil
}

// What the proxy looks at of a request that was sent is there, and no more than
// that unless there is a log that tells all.
func TestQuietTransportLeavesWhatTheProxyReads(t *testing.T) {
	const assertion = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJqb2UifQ.c2lnbmF0dXJl"
	repl := caddy.NewReplacer()
	repl.Set(gate.AssertionPlaceholder, assertion)
	plain := http.Header{assertionHeader: {assertion}, "X-Other": {"y"}, "Accept-Encoding": {"gzip"}}
	hidden := http.Header{assertionHeader: {redacted}, "X-Other": {"y"}, "Accept-Encoding": {"gzip"}}
	upgrade, hiddenUpgrade := plain.Clone(), hidden.Clone()
	upgrade["Upgrade"], hiddenUpgrade["Upgrade"] = []string{"websocket"}, []string{"websocket"}
	for name, tc := range map[string]struct {
		transport    quietTransport
		protocol     int
		header, left http.Header
	}{
		"HTTP/1":        {quietTransport{}, 1, plain, nil},
		"HTTP/2":        {quietTransport{}, 2, plain, http.Header{"Accept-Encoding": {"gzip"}}},
		"whole":         {quietTransport{Whole: true}, 1, plain, hidden},
		"upgrade":       {quietTransport{}, 1, upgrade, hiddenUpgrade},
		"odd encodings": {quietTransport{}, 2, http.Header{"Accept-Encoding": {"x" + assertion, assertion}}, http.Header{"Accept-Encoding": {redacted}}},
	} {
		t.Run(name, func(t *testing.T) {
			inner := new(silent)
			tc.transport.inner = inner
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r = r.WithContext(context.WithValue(r.Context(), caddy.ReplacerCtxKey, repl))
			r.Header, r.ProtoMajor = tc.header.Clone(), tc.protocol
			if _, err := tc.transport.RoundTrip(r); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.header, inner.sent); diff != "" {
				t.Errorf("sent: %s", diff)
			}
			if diff := cmp.Diff(tc.left, r.Header); diff != "" {
				t.Errorf("left: %s", diff)
			}
		})
	}
}

func TestProxyThatLooksAtRequestsAgainHasThemWhole(t *testing.T) {
	for raw, want := range map[string]bool{
		`{"handler":"reverse_proxy"}`:                                              false,
		`{"handler":"reverse_proxy","load_balancing":{"retries":1}}`:               false,
		`{"handler":"reverse_proxy","load_balancing":{"retry_match":[{"x":"y"}]}}`: true,
	} {
		quiet, err := quietProxies(json.RawMessage(raw))
		if err != nil {
			t.Fatal(err)
		}
		var proxy struct{ Transport quietTransport }
		if err := json.Unmarshal(quiet, &proxy); err != nil || proxy.Transport.Whole != want {
			t.Errorf("%s became %s: %v", raw, quiet, err)
		}
	}
}

// BenchmarkQuiet is what the quiet transport adds to a proxied request where
// headers are left: one copy of them.
func BenchmarkQuiet(b *testing.B) {
	const assertion = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJqb2UifQ.c2lnbmF0dXJl"
	repl := caddy.NewReplacer()
	repl.Set(gate.AssertionPlaceholder, assertion)
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r = r.WithContext(context.WithValue(r.Context(), caddy.ReplacerCtxKey, repl))
	header := http.Header{assertionHeader: {assertion}}
	for i := range 16 {
		header.Set("X-Header-"+strconv.Itoa(i), strings.Repeat("value ", 8))
	}
	quiet := quietTransport{inner: new(silent), Whole: true}
	b.ReportAllocs()
	for b.Loop() {
		r.Header = header
		quiet.RoundTrip(r)
	}
}
