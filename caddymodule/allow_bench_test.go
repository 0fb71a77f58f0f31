package caddymodule

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// gateOnly finds the handler of the running gateway, to call it without the
// server and the proxy around it.
func gateOnly(t testing.TB) *Handler {
	t.Helper()
	app, err := caddy.ActiveContext().AppIfConfigured("stepgate")
	if err != nil {
		t.Fatal(err)
	}
	return app.(*App).sites[0]
}

// serverRequest is r as Caddy's server gives it to a handler.
func serverRequest(r *http.Request) *http.Request {
	repl := caddy.NewReplacer()
	ctx := context.WithValue(r.Context(), caddy.ReplacerCtxKey, repl)
	ctx = context.WithValue(ctx, caddyhttp.VarsCtxKey, map[string]any{caddyhttp.ClientIPVarKey: "127.0.0.1"})
	ctx = context.WithValue(ctx, caddyhttp.OriginalRequestCtxKey, http.Request{RequestURI: r.RequestURI})
	return r.WithContext(ctx)
}

// bench has a gateway with rules and the headers of somebody who is in.
func (g *rig) signedInHeader() http.Header {
	g.t.Helper()
	g.addUser("joe")
	b := g.browser()
	b.enrol(b.signIn(b.get("/cases/1"), "joe")).want(200, "/cases/1")
	return http.Header{
		"Cookie": {"PORTALSESSID=0123456789abcdef; " + sessionCookie(g.t, b)}, "Accept": {"text/html"},
		"User-Agent": {"Mozilla/5.0"}, "Accept-Language": {"en-GB"}, "Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"document"},
	}
}

func manyRules(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "\t\t\trequire mfa POST /module%d/*/edit /module%d/reports/*.pdf\n", i, i)
	}
	return strings.Replace(walkSite, "\t\t\tpublic ", b.String()+"\t\t\tpublic ", 1)
}

var htmlType = []string{"text/html; charset=utf-8"}

var reached = caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
	w.Header()["Content-Type"] = htmlType
	w.WriteHeader(http.StatusOK)
	return nil
})

// headerWriter is the least that a response writer can be.
type headerWriter struct{ header http.Header }

func (w *headerWriter) Header() http.Header         { return w.header }
func (w *headerWriter) Write(p []byte) (int, error) { return len(p), nil }
func (w *headerWriter) WriteHeader(int)             {}

// allow calls the gate once as for a signed-in navigation of joe's.
func allow(tb testing.TB, h *Handler, request *http.Request, header http.Header) {
	allowAs(tb, h, request, header, "joe")
}

func allowAs(tb testing.TB, h *Handler, request *http.Request, header http.Header, name string) {
	if r, err := asked(h, request, header); err != nil || r.Header.Get("Remote-User") != name {
		tb.Fatalf("not let through: %v %v", err, r.Header)
	}
}

// asked is the request as the gate leaves it.
func asked(h *Handler, request *http.Request, header http.Header) (*http.Request, error) {
	r := *request
	r.Header = make(http.Header, len(header)+5)
	for name, values := range header {
		r.Header[name] = values
	}
	return &r, h.ServeHTTP(&headerWriter{header: http.Header{}}, &r, reached)
}

// loseStore takes the store away, until the end of the test, once the session
// of a request is in memory to stay: what the feed tells of its sign-in has it
// read once more.
func (g *rig) loseStore(h *Handler, request *http.Request, header http.Header) {
	g.t.Helper()
	here, away := g.dir+"/stepgate.db", g.dir+"/away.db"
	move := func(from, to string) {
		if err := os.Rename(from, to); err != nil {
			g.t.Fatal(err)
		}
	}
	waitFor(g.t, func() bool {
		allow(g.t, h, request, header)
		move(here, away)
		if r, err := asked(h, request, header); err == nil && r.Header.Get("Remote-User") == "joe" {
			return true
		}
		move(away, here)
		return false
	})
	g.t.Cleanup(func() { move(away, here) })
}

// BenchmarkAllow is what the gate itself adds to a request of somebody who is
// signed in; BenchmarkAllowBaseline is what the benchmark around it costs.
func BenchmarkAllow(b *testing.B) {
	for _, rules := range []int{10, 1000} {
		b.Run(fmt.Sprintf("rules=%d", rules), func(b *testing.B) {
			g, request, header := benchGateway(b, rules)
			h := gateOnly(g.t)
			b.ReportAllocs()
			for b.Loop() {
				allow(b, h, request, header)
			}
		})
	}
	b.Run("baseline", func(b *testing.B) {
		_, request, header := benchGateway(b, 10)
		b.ReportAllocs()
		for b.Loop() {
			aroundAllow(request, header)
		}
	})
}

// aroundAllow is allow without the gate.
func aroundAllow(request *http.Request, header http.Header) {
	r := *request
	r.Header = make(http.Header, len(header)+5)
	for name, values := range header {
		r.Header[name] = values
	}
	reached(&headerWriter{header: http.Header{}}, &r)
}

func benchGateway(tb testing.TB, rules int) (*rig, *http.Request, http.Header) {
	tb.Helper()
	g := startGateway(tb, manyRules(rules), nil)
	header := g.signedInHeader()
	r := httptest.NewRequest("GET", "/cases/1?page=2", nil)
	r.Host = strings.TrimPrefix(g.url, "http://")
	return g, serverRequest(r), header
}

// A session seen before costs no read of the store: with the file gone, and
// within the grace, it still passes. All that it costs is the one thing that
// stands around the app's answer, which has room for the headers of the
// request too: these outlive the handler, in the routes of errors, so that
// nobody else's may ever take their place.
func TestAllowReadsNoStore(t *testing.T) {
	g, request, header := benchGateway(t, 10)
	h := gateOnly(g.t)
	g.loseStore(h, request, header)
	around := testing.AllocsPerRun(200, func() { aroundAllow(request, header) })
	if allocs := testing.AllocsPerRun(200, func() { allow(t, h, request, header) }) - around; allocs > 1 {
		t.Errorf("the gate allocates %v times a request", allocs)
	}
}
