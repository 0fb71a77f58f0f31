package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

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
