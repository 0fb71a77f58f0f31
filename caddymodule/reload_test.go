package caddymodule

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/stepgate/stepgate/internal/people"
)

// regionConfig is a gateway of a country, with a log of its own.
func regionConfig(region, log string) string {
	return `{
	admin off
	persist_config off
	auto_https off
	log {
		output file {{dir}}/` + log + `
	}
	stepgate {
		store sqlite {{dir}}/stepgate.db
		region ` + region + `
	}
}
` + walkSite
}

// TestAReloadMakesTheNewConfigurationTheOnlyOne changes what accounts and
// messages are read by: none of it is the first configuration's afterwards.
func TestAReloadMakesTheNewConfigurationTheOnlyOne(t *testing.T) {
	g := startGateway(t, regionConfig("GB", "first.log"), nil)
	first := active.Load()
	g.load(regionConfig("US", "second.log"))
	now := active.Load()
	if now.store != first.store || now.hasher != first.hasher || now.outbox != first.outbox {
		t.Error("what is shared was made anew")
	}
	added, err := now.people.AddAccount(t.Context(), people.Operator(), people.NewAccount{Username: "joe", Mobile: "202 555 0123"})
	if err != nil || added.Account.Mobile != "+12025550123" {
		t.Errorf("a national number after the reload: %q, %v", added.Account.Mobile, err)
	}
	now.sessions.Log("the store does not answer", errors.New("a test says so"))
	if !g.logged("second.log", "a test says so") || g.logged("first.log", "a test says so") {
		t.Error("what is shared writes into the log of the configuration before")
	}
}

// logged tells whether a log has a text.
func (g *rig) logged(name, text string) bool {
	g.t.Helper()
	log, err := os.ReadFile(filepath.Join(g.dir, name))
	if err != nil {
		g.t.Fatal(err)
	}
	return strings.Contains(string(log), text)
}

// TestARefusedConfigurationPutsBackWhatItTook is a configuration that took
// over and did not start after all, because another app of it failed.
func TestARefusedConfigurationPutsBackWhatItTook(t *testing.T) {
	g := startGateway(t, regionConfig("GB", "first.log"), nil)
	g.addUser("joe")
	b := g.browser()
	b.signIn(b.get("/"), "joe").want(200, "/")
	strict := new(App)
	strict.Session = &SessionConfig{Idle: caddy.Duration(time.Nanosecond), Absolute: caddy.Duration(time.Nanosecond)}
	strict.StoreGrace = caddy.Duration(time.Minute)
	undo := active.Load().take(strict)
	if page := b.get("/"); page.url.Path == "/" {
		t.Error("the limits of a configuration in force are not used")
	}
	undo()
	c := g.browser()
	c.signIn(c.get("/"), "joe").want(200, "/")
	c.get("/").want(200, "/")
	active.Load().sessions.Log("the store does not answer", errors.New("a test says so"))
	if !g.logged("first.log", "a test says so") {
		t.Error("the log of a refused configuration stays in use")
	}
}

// present watches the server that is running, if one is: what it returns waits
// until that has closed a connection of its own, which it does once it takes no
// more. Until then it may still answer, after a reload, by the configuration
// that it had.
func (g *rig) present() (gone func()) {
	g.t.Helper()
	w := &watchedConn{closed: make(chan struct{})}
	transport := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		w.Conn = conn
		return w, err
	}}
	r, err := http.NewRequestWithContext(g.t.Context(), http.MethodGet, g.url, nil)
	if err != nil {
		g.t.Fatal(err)
	}
	r.Host = "present.invalid"
	resp, err := transport.RoundTrip(r)
	if err != nil {
		return func() {}
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	return func() {
		g.t.Helper()
		defer transport.CloseIdleConnections()
		select {
		case <-w.closed:
		case <-time.After(patience):
			g.t.Error("the server from before the reload keeps its connections")
		}
	}
}

// watchedConn tells when it is closed: net/http does that with an idle one
// whose other end was.
type watchedConn struct {
	net.Conn
	once   sync.Once
	closed chan struct{}
}

func (w *watchedConn) Close() error {
	w.once.Do(func() { close(w.closed) })
	return w.Conn.Close()
}
