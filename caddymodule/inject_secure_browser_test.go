package caddymodule

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestOverHTTP2StreamsAndSocketsWaitForTheChallenge has what browsers do over
// HTTP/2 only: uploads from a stream, and WebSockets by extended CONNECT. Go's
// server has to be told of the latter when it starts.
func TestOverHTTP2StreamsAndSocketsWaitForTheChallenge(t *testing.T) {
	const told = "STEPGATE_TEST_XCONNECT"
	if os.Getenv(told) == "" {
		program, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		again := exec.CommandContext(t.Context(), program, "-test.run", "^"+t.Name()+"$", "-test.v")
		again.Env = append(os.Environ(), told+"=1", "GODEBUG=http2xconnect=1")
		if out, err := again.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS") && !strings.Contains(string(out), "--- SKIP") {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	site := strings.Replace(scriptedSite, "stepgate {", "tls internal\n\tstepgate {", 1)
	t.Run("uploads", func(t *testing.T) {
		pages := map[string]scriptedPage{}
		for name, body := range streamedUploads() {
			pages["/"+name] = htmlPage(inline(`const stream = (...pieces) => new ReadableStream({pull: (c) => pieces.length ? c.enqueue(new TextEncoder().encode(pieces.shift())) : c.close()});
				function call() { out = undefined; ` + body + `.then((r) => r.json()).then((v) => out = v, (e) => out = String(e)); }`))
		}
		s := startScripted(t, site, pages, false)
		for name := range streamedUploads() {
			t.Run(name, func(t *testing.T) {
				s.of(t).stale("/" + name)
				evaluate[bool](s.tab, `(call(), true)`)
				s.asks()
				s.confirm()
				s.out("typed in pieces")
				s.silent()
				if via := s.g.last().Header.Get("Via"); !strings.HasPrefix(via, "2") {
					t.Errorf("it came by %s", via)
				}
			})
		}
	})
	t.Run("WebSocket", func(t *testing.T) {
		s := startScriptedBefore(t, site, socketApp())
		socketsAreOpenedAgain(s)
	})
}

// streamedUploads are calls whose bodies are streams.
func streamedUploads() map[string]string {
	return map[string]string{
		"init":    `fetch("/data/1", {method: "POST", body: stream("typed ", "in ", "pieces"), duplex: "half"})`,
		"request": `fetch(new Request("/data/1", {method: "POST", body: stream("typed ", "in ", "pieces"), duplex: "half"}))`,
		"once":    `fetch("/sealed/1", {method: "POST", body: stream("typed ", "in ", "pieces"), duplex: "half"})`,
	}
}
