package caddymodule

import (
	"bytes"
	"database/sql"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	"github.com/stepgate/stepgate/factors/password"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/legacytest"
	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/internal/session"
)

// rig is a running gateway in front of an upstream, for tests that speak
// HTTP to it. There is one Caddy in a process: these tests never run in
// parallel.
type rig struct {
	t        testing.TB
	url      string
	dir      string
	upstream *httptest.Server
	// seen are the requests that reached the upstream, but for a browser's own
	// for an icon, which come whenever it likes.
	seen chan *received
	// clients are the browsers' connections.
	clients []*http.Client
}

// received is a request as the upstream got it.
type received struct {
	Line   string
	Header http.Header
	Body   string
}

// TestMain makes passwords cheap, but for measurements, and ends the browsers that
// the tests share.
func TestMain(m *testing.M) {
	flag.Parse()
	if flag.Lookup("test.bench").Value.String() == "" {
		hashCost = password.Cost{MemoryKiB: 64, Passes: 1, Lanes: 1}
	}
	code := m.Run()
	stopChromium(shellPath, chromiumPath)
	os.Exit(code)
}

// patience is how long a test waits for what has to happen. A machine on which
// others work is slow, and nothing is learnt from giving up before.
const patience = 90 * time.Second

const password1 = "a long enough pass phrase 1"

// startGateway runs a Caddyfile in which {{site}}, {{upstream}} and {{dir}}
// stand for the site's address, the upstream's and a folder of the test's.
func startGateway(t testing.TB, caddyfile string, upstream http.Handler) *rig {
	t.Helper()
	g := &rig{t: t, dir: t.TempDir(), seen: make(chan *received, 1000)}
	g.upstream = httptest.NewServer(g.record(upstream))
	t.Cleanup(g.upstream.Close)
	g.url = "http://" + freeAddress(t)
	g.load(caddyfile)
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
	})
	return g
}

func stopGateway() error { return caddy.Stop() }

// freeAddress is one for a site: browsers trust localhost as they trust TLS.
func freeAddress(t testing.TB) string {
	t.Helper()
	return strings.Replace(legacytest.FreeAddr(t), "127.0.0.1", "localhost", 1)
}

func (g *rig) record(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.URL.Path != "/favicon.ico" {
			select {
			case g.seen <- &received{r.Method + " " + r.RequestURI, r.Header.Clone(), string(body)}:
			default:
			}
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		if next != nil {
			next.ServeHTTP(w, r)
			return
		}
		fmt.Fprintf(w, "upstream %s %s", r.Method, r.RequestURI)
	})
}

// last is the newest request that the upstream got, or nil.
func (g *rig) last() *received {
	var last *received
	for {
		select {
		case last = <-g.seen:
		default:
			return last
		}
	}
}

const testHead = `{
	admin off
	persist_config off
	auto_https off
	log {
		output discard
	}
	stepgate {
		store sqlite {{dir}}/stepgate.db
	}
}
`

// load runs a configuration, in place of the one before.
func (g *rig) load(caddyfile string) {
	g.t.Helper()
	gone := g.present()
	if err := g.tryLoad(caddyfile); err != nil {
		g.t.Fatal(err)
	}
	gone()
	g.settle()
}

// settle waits until the listener before a reload takes no connection any
// more: it may for a moment, and closes it, and a client could not repeat a
// POST. No site is asked.
func (g *rig) settle() {
	g.t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	good := 0
	for range 1000 {
		r, err := http.NewRequestWithContext(g.t.Context(), http.MethodGet, g.url, nil)
		if err != nil {
			g.t.Fatal(err)
		}
		r.Host = "settle.invalid"
		resp, err := client.Do(r)
		if err != nil {
			good = 0
			continue
		}
		resp.Body.Close()
		if good++; good == 8 {
			break
		}
	}
	for _, c := range g.clients {
		c.CloseIdleConnections()
	}
}

func (g *rig) tryLoad(caddyfile string) error {
	if !strings.HasPrefix(caddyfile, "{\n") {
		caddyfile = testHead + caddyfile
	}
	text := strings.NewReplacer("{{site}}", g.url, "{{upstream}}", g.upstream.Listener.Addr().String(), "{{dir}}", g.dir).Replace(caddyfile)
	file := filepath.Join(g.dir, "Caddyfile")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return err
	}
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), map[string]any{"filename": file})
	if err != nil {
		return err
	}
	return caddy.Load(config, true)
}

// addUser adds a local account through the running gateway.
func (g *rig) addUser(name string, change ...func(*people.NewAccount)) account.Account {
	g.t.Helper()
	n := people.NewAccount{Username: name, Name: "Joe Bloggs", Email: name + "@example.test", Password: account.Secret(password1)}
	for _, c := range change {
		c(&n)
	}
	waitFor(g.t, func() bool { return active.Load() != nil }) // a store that opens too slowly is awaited
	added, err := active.Load().people.AddAccount(g.t.Context(), people.Operator(), n)
	if err != nil {
		g.t.Fatal(err)
	}
	return added.Account
}

// age makes every proof of every session older than it is, as if that much time
// had passed.
func (g *rig) age(by time.Duration) {
	g.t.Helper()
	db, err := sql.Open("sqlite3", (&url.URL{Scheme: "file", OmitHost: true, Path: filepath.Join(g.dir, "stepgate.db"), RawQuery: "_busy_timeout=60000&_txlock=immediate"}).String())
	if err != nil {
		g.t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(g.t.Context(), `UPDATE session SET proofs = (
		SELECT json_group_array(json_set(value, '$.at', strftime('%Y-%m-%dT%H:%M:%fZ', json_extract(value, '$.at'), ?))) FROM json_each(session.proofs))`,
		fmt.Sprintf("-%d seconds", int(by.Seconds()))); err != nil {
		g.t.Fatal(err)
	}
	rows, err := db.QueryContext(g.t.Context(), `SELECT DISTINCT id FROM session`)
	if err != nil {
		g.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			g.t.Fatal(err)
		}
		active.Load().sessions.Apply(session.Change{Kind: session.SessionChanged, Key: id})
	}
	if err := rows.Err(); err != nil {
		g.t.Fatal(err)
	}
}
