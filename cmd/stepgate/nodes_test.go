package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
	"golang.org/x/net/html"

	"github.com/stepgate/stepgate/internal/legacytest"
)

// nodes are three gateways of one site over one PostgreSQL with a synchronous
// standby, each reaching it by wires of its own.
type nodes struct {
	*testing.T
	database *legacytest.PostgresPair
	upstream string
	all      []*node
}

// node is one gateway, a process of its own.
type node struct {
	addr    string // HOST:PORT
	dir     string
	wires   []*legacytest.Wire
	apart   *legacytest.Namespace // nil where it is on our network
	process *exec.Cmd
}

const (
	nodesOrigin   = "http://localhost:8080" // as browsers say it; each is led to a node
	nodesPassword = "a long enough pass phrase 1"
)

const nodeCaddyfile = `{
	admin unix/%[1]s/admin.sock
	persist_config off
	auto_https off
	stepgate {
		store postgres %[2]q
		key_file %[1]s/stepgate.key
		store_grace 3s
	}
}
http://:%[3]s {
	bind %[5]s
	stepgate {
		origin http://localhost:8080
		policy {
			public /public/*
			default mfa
		}
	}
	reverse_proxy %[4]s
}
`

// startNodes starts them, the third on a network of its own if it is given one.
func startNodes(t *testing.T, apart *legacytest.Namespace) *nodes {
	t.Helper()
	upstream, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "upstream %s %s", r.Header.Get("Remote-User"), r.URL)
	})}
	go server.Serve(upstream)
	t.Cleanup(func() { server.Close() })
	n := &nodes{T: t, database: legacytest.StartPostgresPair(t), upstream: upstream.Addr().String()}
	for i, apart := range []*legacytest.Namespace{nil, nil, apart} {
		n.add(i, apart)
	}
	return n
}

func (n *nodes) add(i int, apart *legacytest.Namespace) {
	n.Helper()
	one := &node{addr: legacytest.FreeAddr(n), dir: n.TempDir(), apart: apart}
	host, port, _ := net.SplitHostPort(one.addr)
	upstream, through := n.upstream, func(addr string) string {
		w := legacytest.StartWire(n, addr)
		one.wires = append(one.wires, w)
		return w.Addr
	}
	if apart != nil {
		host, upstream, through = apart.Front, apart.ToFront(n.upstream), apart.ToBack
		one.addr = net.JoinHostPort(host, port)
	}
	caddyfile := fmt.Sprintf(nodeCaddyfile, one.dir, n.database.DSN(through), port, upstream, host)
	n.write(filepath.Join(one.dir, "Caddyfile"), caddyfile)
	if i == 0 {
		n.command(one, "", "organisation", "add", "courts") // which makes store and key
	} else {
		key, err := os.ReadFile(filepath.Join(n.all[0].dir, "stepgate.key"))
		if err != nil {
			n.Fatal(err)
		}
		n.write(filepath.Join(one.dir, "stepgate.key"), string(key))
	}
	n.all = append(n.all, one)
	n.start(one)
}

func (n *nodes) write(path, text string) {
	n.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		n.Fatal(err)
	}
}

func (n *nodes) command(at *node, input string, args ...string) {
	n.Helper()
	cmd := exec.Command("stepgate", append(args, "--config", filepath.Join(at.dir, "Caddyfile"))...)
	cmd.Stdin = strings.NewReader(input)
	cmd.Env = append(os.Environ(), "HOME="+at.dir, "XDG_DATA_HOME="+at.dir, "XDG_CONFIG_HOME="+at.dir)
	if said, err := cmd.CombinedOutput(); err != nil {
		n.Fatalf("stepgate %v: %v\n%s", args, err, said)
	}
}

// start starts a node and waits until it serves.
func (n *nodes) start(one *node) {
	n.Helper()
	log, err := os.Create(filepath.Join(one.dir, "log"))
	if err != nil {
		n.Fatal(err)
	}
	defer log.Close()
	run := []string{"run", "--config", filepath.Join(one.dir, "Caddyfile")}
	one.process = exec.Command("stepgate", run...)
	if one.apart != nil {
		if one.process, err = one.apart.Command("stepgate", run...); err != nil {
			n.Fatal(err)
		}
	}
	one.process.Env = append(os.Environ(), "HOME="+one.dir, "XDG_DATA_HOME="+one.dir, "XDG_CONFIG_HOME="+one.dir)
	one.process.Stdout, one.process.Stderr = log, log
	if err := one.process.Start(); err != nil {
		n.Fatal(err)
	}
	process := one.process
	n.Cleanup(func() {
		process.Process.Kill()
		process.Wait()
		if n.Failed() {
			text, _ := os.ReadFile(log.Name())
			n.Logf("the end of the log of %s:\n%s", one.addr, text[max(0, len(text)-3000):])
		}
	})
	n.until("the node serves", func() bool { return n.browser().at(one).get("/.stepgate/health").status == http.StatusNoContent })
}

// kill ends a node without a word.
func (one *node) kill() {
	one.process.Process.Kill()
	one.process.Wait()
}

func (one *node) cut() {
	if one.apart != nil {
		one.apart.Cut()
	}
	for _, w := range one.wires {
		w.Cut()
	}
}

func (one *node) join() {
	if one.apart != nil {
		one.apart.Join()
	}
	for _, w := range one.wires {
		w.Join()
	}
}

// until waits for what has to come, however busy the machine is.
func (n *nodes) until(what string, so func() bool) time.Duration {
	n.Helper()
	begun := time.Now()
	for !so() {
		if time.Since(begun) > time.Minute {
			n.Fatalf("after a minute it is still not so that %s", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
	return time.Since(begun)
}

// person is a browser that a balancer may lead to any node.
type person struct {
	*testing.T
	name   string
	client *http.Client
	to     atomic.Pointer[node]
	secret string // of the authenticator app
	used   time.Time
}

// person adds somebody, with a browser.
func (n *nodes) person(name string) *person {
	n.Helper()
	n.command(n.all[0], nodesPassword, "user", "add", name, "--email", name+"@example.gov", "--password-stdin")
	p := n.browser()
	p.name = name
	return p
}

// enrol signs in, enrols an authenticator app, and is where it was going.
func (p *person) enrol(target string) {
	p.Helper()
	page := p.signIn(target)
	if page.url.Path != "/.stepgate/enrol/totp" { // where there is a choice
		page = p.get("/.stepgate/enrol/totp?" + page.url.RawQuery)
	}
	if p.secret = marked(page.body, "totp-secret"); p.secret == "" {
		p.Fatalf("no secret at %s (%d):\n%s", page.url, page.status, page.body)
	}
	p.submit(page, "code", map[string]string{"code": p.code(), "action": "verify"})
	p.wantStatus(target, http.StatusOK)
}

type answer struct {
	status int
	url    *url.URL
	body   string
}

func (n *nodes) browser() *person {
	jar, err := cookiejar.New(nil)
	if err != nil {
		n.Fatal(err)
	}
	p := &person{T: n.T}
	p.client = &http.Client{Jar: jar, Timeout: time.Minute, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, p.to.Load().addr)
		},
	}}
	return p
}

// at leads the browser to a node from now on.
func (p *person) at(one *node) *person {
	p.to.Store(one)
	return p
}

func (p *person) do(r *http.Request) answer {
	p.Helper()
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Sec-Fetch-Dest", "document")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	resp, err := p.client.Do(r)
	if err != nil {
		return answer{}
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Request.URL, string(body)}
}

func (p *person) get(target string) answer {
	p.Helper()
	r, err := http.NewRequestWithContext(p.Context(), http.MethodGet, nodesOrigin+target, nil)
	if err != nil {
		p.Fatal(err)
	}
	return p.do(r)
}

// submit fills in the form that has a field of some name.
func (p *person) submit(a answer, field string, values map[string]string) answer {
	p.Helper()
	document, _ := html.Parse(strings.NewReader(a.body))
	for form := range document.Descendants() {
		if form.Type != html.ElementNode || form.Data != "form" {
			continue
		}
		filled, has := url.Values{}, false
		for in := range form.Descendants() {
			if in.Type != html.ElementNode || in.Data != "input" && in.Data != "button" {
				continue
			}
			name := attributeOf(in, "name")
			has = has || name == field
			if attributeOf(in, "type") == "hidden" {
				filled.Set(name, attributeOf(in, "value"))
			}
		}
		if !has {
			continue
		}
		for name, value := range values {
			filled.Set(name, value)
		}
		to, err := a.url.Parse(attributeOf(form, "action"))
		if err != nil {
			p.Fatal(err)
		}
		r, err := http.NewRequestWithContext(p.Context(), http.MethodPost, to.String(), strings.NewReader(filled.Encode()))
		if err != nil {
			p.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", nodesOrigin)
		return p.do(r)
	}
	p.Fatalf("no form with %s at %s (%d):\n%s", field, a.url, a.status, a.body)
	return answer{}
}

func attributeOf(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// marked is the text of the element with a data-stepgate mark.
func marked(body, mark string) string {
	document, _ := html.Parse(strings.NewReader(body))
	for e := range document.Descendants() {
		if e.Type == html.ElementNode && attributeOf(e, "data-stepgate") == mark && e.FirstChild != nil {
			return strings.TrimSpace(e.FirstChild.Data)
		}
	}
	return ""
}

func (p *person) signIn(target string) answer {
	p.Helper()
	return p.submit(p.get(target), "username", map[string]string{"username": p.name, "password": nodesPassword})
}

// code makes a code that was not used before.
func (p *person) code() string {
	p.Helper()
	at := time.Now()
	if at.Unix()/30 <= p.used.Unix()/30 {
		at = p.used.Add(30 * time.Second)
	}
	p.used = at
	code, err := totp.GenerateCode(p.secret, at)
	if err != nil {
		p.Fatal(err)
	}
	return code
}

func (p *person) wantStatus(target string, want int) answer {
	p.Helper()
	a := p.get(target)
	if a.status != want || want == http.StatusOK && a.url.Path != target {
		p.Errorf("GET %s at %s: %d at %v, want %d", target, p.to.Load().addr, a.status, a.url, want)
	}
	return a
}

// TestManyNodes takes three nodes and their database through what may happen
// to them: nothing is let through, nothing that was acknowledged is lost, and
// all heals without a restart.
func TestManyNodes(t *testing.T) {
	if testing.Short() {
		t.Skip("starts three gateways and two database servers")
	}
	if legacytest.InOwnNetwork(t) {
		return
	}
	apart, err := legacytest.StartNamespace(t)
	if err != nil {
		t.Log("a proxy that falls silent stands for a network that is cut:", err)
	}
	n := startNodes(t, apart)
	first, second, third := n.all[0], n.all[1], n.all[2]
	joe := n.person("joe").at(first)
	joe.enrol("/cases/1")
	for _, one := range n.all {
		joe.at(one).wantStatus("/cases/1", http.StatusOK)
	}

	t.Run("one code passes once", func(t *testing.T) { n.raceOneCode(joe) })
	t.Run("a sign-out is seen everywhere", func(t *testing.T) { n.signOutElsewhere() })
	t.Run("keys are rotated", func(t *testing.T) { n.rotateKeys(joe) })
	t.Run("a node is killed", func(t *testing.T) {
		dora := n.person("dora").at(second)
		dora.enrol("/cases/dora")
		second.kill() // a moment after it has acknowledged that
		dora.at(first).wantStatus("/cases/dora", http.StatusOK)
		joe.at(third).wantStatus("/cases/1", http.StatusOK)
		n.start(second)
		joe.at(second).wantStatus("/cases/1", http.StatusOK)
	})
	t.Run("a node is cut off", func(t *testing.T) { n.cutOff(joe, third, first) })
	if apart != nil {
		t.Run("a node's connections fall silent", func(t *testing.T) { n.cutOff(joe, second, first) })
	}
	t.Run("the database stops", func(t *testing.T) {
		mary := n.person("mary").at(third)
		mary.enrol("/cases/mary")
		n.database.Primary.Kill()
		n.wantNobodyLetIn(joe)
		n.database.Primary.Start()
		n.heals(joe)
		for _, one := range n.all {
			mary.at(one).wantStatus("/cases/mary", http.StatusOK)
		}
	})
	t.Run("the database fails over", func(t *testing.T) {
		late := n.person("late").at(second)
		late.enrol("/cases/late")
		n.database.FailOver()
		n.heals(joe)
		for _, one := range n.all { // what was acknowledged a moment before is there
			late.at(one).wantStatus("/cases/late", http.StatusOK)
		}
	})
}

// rotateKeys rotates while somebody works on all nodes.
func (n *nodes) rotateKeys(joe *person) {
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				if a := joe.at(n.all[i%3]).get("/cases/1"); a.status != 0 && (a.status != http.StatusOK || a.url.Path != "/cases/1") {
					n.Errorf("while keys are rotated: %d at %v", a.status, a.url)
				}
			}
		}
	}()
	n.rotate()
	close(stop)
	<-stopped
	for _, one := range n.all {
		joe.at(one).wantStatus("/cases/1", http.StatusOK)
	}
	n.command(n.all[2], "", "audit", "verify")
}

// rotate makes another key primary as an operator does, node after node.
func (n *nodes) rotate() {
	n.Helper()
	for _, step := range [][]string{{"keys", "rotate", "--prepare"}, {"keys", "rotate"}} {
		n.command(n.all[0], "", step...)
		key, err := os.ReadFile(filepath.Join(n.all[0].dir, "stepgate.key"))
		if err != nil {
			n.Fatal(err)
		}
		for _, one := range n.all[1:] {
			n.write(filepath.Join(one.dir, "stepgate.key"), string(key))
			n.reread(one)
		}
	}
}

// reread has a node take over what its files say now.
func (n *nodes) reread(one *node) {
	n.Helper()
	n.command(one, "", "reload", "--address", "unix/"+filepath.Join(one.dir, "admin.sock"), "--force")
}

// raceOneCode has eight browsers submit the same code over all nodes at once.
func (n *nodes) raceOneCode(joe *person) {
	code := joe.code()
	browsers, pages := make([]*person, 8), make([]answer, 8)
	for i := range browsers {
		browsers[i] = n.browser().at(n.all[i%len(n.all)])
		browsers[i].name = joe.name
		pages[i] = browsers[i].signIn("/cases/1")
	}
	var passed atomic.Int32
	var all sync.WaitGroup
	for i, b := range browsers {
		all.Go(func() {
			if a := b.submit(pages[i], "code", map[string]string{"code": code, "action": "verify"}); a.status == http.StatusOK && a.url.Path == "/cases/1" {
				passed.Add(1)
			}
		})
	}
	all.Wait()
	if passed.Load() != 1 {
		n.Errorf("the code passed %d times", passed.Load())
	}
}

// signOutElsewhere signs somebody out on one node, and asks another that has
// them in memory.
func (n *nodes) signOutElsewhere() {
	b := n.person("ann").at(n.all[1])
	b.enrol("/cases/2")
	b.at(n.all[2]).wantStatus("/cases/2", http.StatusOK)
	kept, err := url.Parse(nodesOrigin)
	if err != nil {
		n.Fatal(err)
	}
	cookies := b.client.Jar.Cookies(kept)
	page := b.at(n.all[0]).get("/.stepgate/sign-out")
	b.submit(page, "csrf_token", nil)
	b.client.Jar.SetCookies(kept, cookies) // a thief has kept them
	took := n.until("the sign-out is seen", func() bool {
		a := b.at(n.all[2]).get("/cases/2")
		return a.url != nil && a.url.Path == "/.stepgate/sign-in"
	})
	n.Logf("a sign-out was seen by another node after %s", took)
}

// cutOff cuts a node's wires to the database: it falls silent, the others do
// not notice, and it heals.
func (n *nodes) cutOff(joe *person, alone, other *node) {
	joe.at(alone).wantStatus("/cases/1", http.StatusOK)
	begun := time.Now()
	alone.cut()
	a := joe.at(alone).get("/cases/1")
	if within := time.Since(begun) < time.Second; within && a.status != http.StatusOK { // of the grace of three
		n.Errorf("at once after it was cut off: %d", a.status)
	}
	n.until("the node trusts nothing", func() bool { return joe.at(alone).get("/cases/1").status == http.StatusServiceUnavailable })
	stranger := n.browser().at(alone)
	stranger.wantStatus("/cases/1", http.StatusServiceUnavailable)
	stranger.wantStatus("/.stepgate/health", http.StatusServiceUnavailable)
	stranger.wantStatus("/public/x", http.StatusOK)
	joe.at(other).wantStatus("/cases/1", http.StatusOK)
	alone.join()
	n.heals(joe)
}

// wantNobodyLetIn looks at every node while the database is away.
func (n *nodes) wantNobodyLetIn(joe *person) {
	for _, one := range n.all {
		n.until("a node without a database trusts nothing", func() bool {
			return joe.at(one).get("/cases/1").status == http.StatusServiceUnavailable
		})
		stranger := n.browser().at(one)
		stranger.wantStatus("/cases/1", http.StatusServiceUnavailable)
		stranger.wantStatus("/public/x", http.StatusOK)
	}
}

// heals waits until every node serves again, by itself, and knows who joe is.
func (n *nodes) heals(joe *person) {
	for _, one := range n.all {
		took := n.until("the node has healed", func() bool {
			return n.browser().at(one).get("/.stepgate/health").status == http.StatusNoContent && joe.at(one).get("/cases/1").status == http.StatusOK
		})
		n.Logf("%s has healed after %s", one.addr, took)
	}
}
