package caddymodule

import (
	"bytes"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
	"github.com/pquerna/otp/totp"
	"golang.org/x/net/html"

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

// browser is a person with a browser that tells what it does.
type browser struct {
	t      testing.TB
	client *http.Client
	base   string
	jar    *cookiejar.Jar
	// secret is the TOTP secret, once one was shown; used is the last step.
	secret string
	used   time.Time
	// codes are the backup codes, once they were shown.
	codes []string
}

// page is what a browser shows.
type page struct {
	t        testing.TB
	status   int
	url      *url.URL
	header   http.Header
	body     string
	document *html.Node
}

func (g *rig) browser() *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		g.t.Fatal(err)
	}
	client := &http.Client{Jar: jar, Transport: &http.Transport{DisableCompression: true}}
	g.t.Cleanup(client.CloseIdleConnections)
	g.clients = append(g.clients, client)
	return &browser{t: g.t, client: client, base: g.url, jar: jar}
}

// do sends a request and follows redirects as a browser's navigation does.
func (b *browser) do(method, target string, form url.Values, change ...func(*http.Request)) *page {
	b.t.Helper()
	if !strings.HasPrefix(target, "http") {
		target = b.base + target
	}
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequestWithContext(b.t.Context(), method, target, body)
	if err != nil {
		b.t.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", b.base)
	}
	r.Header.Set("Accept", "text/html,*/*;q=0.8")
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Sec-Fetch-Dest", "document")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	for _, c := range change {
		c(r)
	}
	resp, err := b.client.Do(r)
	// Caddy closes connections at a reload that a request is on its way on;
	// browsers ask again where it changes nothing (RFC 9110 §9.2.2).
	if method == http.MethodGet && (errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)) {
		resp, err = b.client.Do(r)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	p := &page{t: b.t, status: resp.StatusCode, url: resp.Request.URL, header: resp.Header, body: string(text)}
	p.document, _ = html.Parse(strings.NewReader(p.body))
	return p
}

func (b *browser) get(target string, change ...func(*http.Request)) *page {
	b.t.Helper()
	return b.do(http.MethodGet, target, nil, change...)
}

// fetch is what a script of the app does: no navigation.
func fetch(r *http.Request) {
	r.Header.Set("Accept", "*/*")
	r.Header.Set("Sec-Fetch-Mode", "cors")
	r.Header.Set("Sec-Fetch-Dest", "empty")
}

// submit fills in the form that has a field, or a button, of some name. Backup
// codes that come of it are kept, and the person goes on.
func (b *browser) submit(p *page, field string, values map[string]string) *page {
	b.t.Helper()
	action, form := p.form(field)
	if form == nil {
		b.t.Fatalf("no form with %s at %s (%d):\n%s", field, p.url, p.status, p.body)
	}
	for name, value := range values {
		form.Set(name, value)
	}
	target, err := p.url.Parse(action)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.keepCodes(b.do(http.MethodPost, target.String(), form))
}

// form finds the first form with a field of some name, with its hidden values.
func (p *page) form(field string) (action string, values url.Values) {
	for _, f := range elements(p.document, "form") {
		values := url.Values{}
		found := field == ""
		for _, in := range append(elements(f, "input"), elements(f, "button")...) {
			name := attribute(in, "name")
			if name == field {
				found = true
			}
			if in.Data == "input" && name != "" && attribute(in, "type") == "hidden" {
				values.Set(name, attribute(in, "value"))
			}
		}
		if found {
			return attribute(f, "action"), values
		}
	}
	return "", nil
}

// marked is the text of the element with a data-stepgate mark.
func (p *page) marked(mark string) string {
	for _, e := range elements(p.document, "") {
		if attribute(e, "data-stepgate") == mark {
			return textOf(e)
		}
	}
	return ""
}

func elements(n *html.Node, name string) (found []*html.Node) {
	if n == nil {
		return nil
	}
	for c := range n.Descendants() {
		if c.Type == html.ElementNode && (name == "" || c.Data == name) {
			found = append(found, c)
		}
	}
	return found
}

func attribute(n *html.Node, name string) string {
	i := slices.IndexFunc(n.Attr, func(a html.Attribute) bool { return a.Key == name })
	if i < 0 {
		return ""
	}
	return n.Attr[i].Val
}

func textOf(n *html.Node) string {
	var b strings.Builder
	for c := range n.Descendants() {
		if c.Type == html.TextNode {
			b.WriteString(c.Data)
		}
	}
	return strings.TrimSpace(b.String())
}

// signIn answers the sign-in page.
func (b *browser) signIn(p *page, name string) *page {
	b.t.Helper()
	return b.submit(p, "username", map[string]string{"username": name, "password": password1})
}

// enrol chooses an authenticator app where there is a choice, and answers the
// page of a new one.
func (b *browser) enrol(p *page) *page {
	b.t.Helper()
	p = b.choose(p, "/enrol/totp")
	if b.secret = p.marked("totp-secret"); b.secret == "" {
		b.t.Fatalf("no secret at %s:\n%s", p.url, p.body)
	}
	return b.submit(p, "code", map[string]string{"code": b.code(), "action": "verify"})
}

// choose follows the link to a page of ours, from a page that offers it. It
// leaves a page that is there already as it is.
func (b *browser) choose(p *page, path string) *page {
	b.t.Helper()
	if p.url.Path == "/.stepgate"+path {
		return p
	}
	for _, link := range elements(p.document, "a") {
		if to, err := p.url.Parse(attribute(link, "href")); err == nil && to.Path == "/.stepgate"+path {
			return b.get(to.String())
		}
	}
	b.t.Fatalf("no link to %s at %s (%d):\n%s", path, p.url, p.status, p.body)
	return nil
}

// keepCodes takes the backup codes off the page that shows them, and goes on.
// Other pages it leaves as they are.
func (b *browser) keepCodes(p *page) *page {
	b.t.Helper()
	var codes []string
	for _, e := range elements(p.document, "code") {
		if attribute(e, "data-stepgate") == "backup-code" {
			codes = append(codes, textOf(e))
		}
	}
	if codes == nil {
		return p
	}
	b.codes = codes
	return b.submit(p, "action", map[string]string{"action": "continue"})
}

// code makes a code of a step that this browser has not used: the gateway
// takes one step ahead of the clock.
func (b *browser) code() string {
	b.t.Helper()
	at := time.Now()
	if !b.used.IsZero() && at.Unix()/30 <= b.used.Unix()/30 {
		at = b.used.Add(30 * time.Second)
	}
	b.used = at
	code, err := totp.GenerateCode(b.secret, at)
	if err != nil {
		b.t.Fatal(err)
	}
	return code
}

// want fails unless the page has a status and stands at a target.
func (p *page) want(status int, target string) *page {
	p.t.Helper()
	if got := p.url.RequestURI(); p.status != status || target != "" && got != target {
		p.t.Fatalf("at %s with %d, want %s with %d:\n%s", got, p.status, target, status, p.body)
	}
	return p
}

// atEnrolment fails unless the page is one where a first factor is chosen or
// enrolled.
func (p *page) atEnrolment() *page {
	p.t.Helper()
	if !strings.HasPrefix(p.url.Path, "/.stepgate/enrol") {
		p.t.Fatalf("at %s (%d), want an enrolment:\n%s", p.url, p.status, p.body)
	}
	return p
}

// at fails unless the page is one of the gateway's own.
func (p *page) at(path string) *page {
	p.t.Helper()
	if p.url.Path != "/.stepgate"+path {
		p.t.Fatalf("at %s (%d), want the page %s:\n%s", p.url, p.status, path, p.body)
	}
	return p
}
