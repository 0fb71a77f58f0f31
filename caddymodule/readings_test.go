package caddymodule

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepgate/stepgate/internal/legacytest"
)

// treeSites are three gates before one server. The first lists what is public;
// the second names what is not, so that a spelling which no rule knows is
// open; so does the third, and what it names is the program.
const treeSites = `{{site}} {
	stepgate {
		scripts *.php *.asp *.aspx *.jsp *.cgi *.pl front
		policy {
			public      /public/*
			require mfa /secret/*
			default     mfa
		}
	}
	reverse_proxy SERVER
}
OPEN {
	stepgate {
		path_charset windows-1252
		scripts *.php *.asp *.aspx *.jsp *.cgi *.pl front
		policy {
			require mfa /secret/*
			default     public
		}
	}
	reverse_proxy SERVER
}
PROGRAM {
	stepgate {
		scripts *.php *.asp *.aspx *.jsp *.cgi *.pl front
		policy {
			require mfa /front /front.*
			default     public
		}
	}
	reverse_proxy SERVER
}
`

// treeGate is one of them, and what it must not let out.
type treeGate struct{ addr, keeps string }

func startTreeGates(t *testing.T, tree *legacytest.Tree, server string) []treeGate {
	t.Helper()
	open, program := freeAddress(t), freeAddress(t)
	g := startGateway(t, strings.NewReplacer("SERVER", server, "OPEN", "http://"+open, "PROGRAM", "http://"+program).Replace(treeSites), nil)
	return []treeGate{
		{strings.TrimPrefix(g.url, "http://"), tree.Marker},
		{open, tree.Marker},
		{program, "path_info=["},
	}
}

// wire sends targets as they are, on one connection as long as it lasts.
type wire struct {
	addr, host string
	conn       net.Conn
	answers    *bufio.Reader
}

// answered is what came back. Status is 0 where it was no HTTP.
type answered struct {
	Status         int
	Location, Body string
}

func (w *wire) get(target string) (answered, error) {
	if w.conn != nil {
		if a, err := w.again(target); err == nil {
			return a, nil
		}
		w.close()
	}
	conn, err := net.DialTimeout("tcp", w.addr, patience)
	if err != nil {
		return answered{}, err
	}
	w.conn, w.answers = conn, bufio.NewReader(conn)
	if a, err := w.again(target); err == nil {
		return a, nil
	}
	w.close()
	return w.alone(target)
}

func (w *wire) ask(target, more string) error {
	w.conn.SetDeadline(time.Now().Add(patience))
	_, err := fmt.Fprintf(w.conn, "GET %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", target, w.host, more)
	return err
}

func (w *wire) again(target string) (answered, error) {
	if err := w.ask(target, ""); err != nil {
		return answered{}, err
	}
	res, err := http.ReadResponse(w.answers, nil)
	if err != nil {
		return answered{}, err
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return answered{}, err
	}
	// Nothing may be left over that could be taken for the next answer.
	if res.Close || res.StatusCode == http.StatusBadRequest || w.answers.Buffered() > 0 {
		w.close()
	}
	return answered{res.StatusCode, res.Header.Get("Location"), string(body)}, nil
}

// alone takes whatever comes on a connection of its own for the answer.
func (w *wire) alone(target string) (answered, error) {
	conn, err := net.DialTimeout("tcp", w.addr, patience)
	if err != nil {
		return answered{}, err
	}
	w.conn = conn
	defer w.close()
	if err := w.ask(target, "Connection: close\r\n"); err != nil {
		return answered{}, nil
	}
	text, _ := io.ReadAll(conn)
	return answered{Body: string(text)}, nil
}

func (w *wire) close() {
	if w.conn != nil {
		w.conn.Close()
	}
	w.conn, w.answers = nil, nil
}

// askAll sends every target and gives the answers in order.
func askAll(t *testing.T, addr, host string, targets []string) []answered {
	t.Helper()
	answers := make([]answered, len(targets))
	var workers sync.WaitGroup
	const many = 4
	for first := range many {
		workers.Go(func() {
			w := wire{addr: addr, host: host}
			defer w.close()
			for i := first; i < len(targets); i += many {
				var err error
				if answers[i], err = w.get(targets[i]); err != nil {
					t.Errorf("%s at %s: %v", targets[i], addr, err)
					return
				}
			}
		})
	}
	workers.Wait()
	return answers
}

// try sends spellings to the server and to all gates.
func (a *attack) try(t *testing.T, spellings []string) {
	t.Helper()
	spellings = slices.DeleteFunc(spellings, func(s string) bool {
		known := a.sent[s] || len(s) > 4000 || strings.ContainsAny(s, "\r\n")
		a.sent[s] = true
		return known
	})
	for i, answer := range askAll(t, a.tree.Addr, a.gates[0].addr, spellings) {
		if strings.Contains(answer.Body, a.tree.Marker) {
			a.yielding = append(a.yielding, spellings[i])
		}
	}
	for at, gate := range a.gates {
		for i, answer := range askAll(t, gate.addr, gate.addr, spellings) {
			if strings.Contains(answer.Body, gate.keeps) {
				t.Errorf("GET %q at gate %d gives away what it keeps", spellings[i], at+1)
			}
		}
	}
}

// firstSpellings are single changes of every way to the secret.
func (a *attack) firstSpellings(most int) []string {
	var ways, all []string
	for _, way := range []string{"", a.tree.Front, "/front", "/public/..", "/public/hello.txt"} {
		for _, file := range []string{"/secret/marker.txt", "/secret/marker"} {
			if way := way + file; !slices.Contains(ways, way) {
				ways = append(ways, way)
				all = append(all, onceChanged(way)...)
			}
		}
	}
	a.random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	for i, s := range all {
		all[i] = strings.Replace(s, "HOST", a.gates[0].addr, 1)
	}
	return append(ways, all[:min(most, len(all))]...)
}

// moreSpellings change what has worked before by chance.
func (a *attack) moreSpellings(n int) []string {
	var all []string
	for range n {
		s := a.yielding[a.random.IntN(len(a.yielding))]
		for range 1 + a.random.IntN(2) {
			s = changed(a.random, s)
		}
		all = append(all, strings.Replace(s, "HOST", a.gates[0].addr, 1))
	}
	return all
}

// No spelling of a path, however the server behind reads it, gets past the
// gate to what needs a second factor.
func TestNoSpellingGetsPastTheGate(t *testing.T) {
	first, rounds, each := 4000, 5, 500
	if testing.Short() {
		first, rounds, each = 120, 2, 60
	}
	for name, start := range legacytest.Trees() {
		t.Run(name, func(t *testing.T) {
			tree := start(t)
			a := attack{
				tree: tree, gates: startTreeGates(t, tree, tree.Addr), sent: map[string]bool{},
				random: rand.New(rand.NewPCG(7, uint64(len(name)))),
			}
			a.try(t, a.firstSpellings(first))
			if len(a.yielding) == 0 {
				t.Fatal("the server gives its secret to nobody: the test shows nothing")
			}
			for range rounds {
				a.try(t, a.moreSpellings(each))
			}
			t.Logf("%d of %d spellings have %s itself tell the secret", len(a.yielding), len(a.sent), name)
		})
	}
}

// honestTargets are odd, and browsers send them for honest names. The files
// are those that some of them name.
var (
	honestFiles = []string{
		"café.txt", "日本.txt", "😀.txt", "a b.txt", "a+b.txt", "100%.txt", "a:b.txt", "what?.txt", "no#1.txt", `"quoted".txt`, "a&b=c,d@e!$'()*.txt",
		"a[1].txt", "wait….txt", "~joe.txt", "v1..2.txt", "a;b.txt", "a/b.txt", "secret/marker.txt", "{x}|y^`<z>.txt", "ends.", "ǅ.txt",
		"etc...", "what-is-missing.../x.txt", "…/x.txt", "(draft)/x.txt",
	}
	honestTargets = []string{
		"/public/hello.txt", "/public", "/public/", "/public//hello.txt", "/public/hello.txt/", "/PUBLIC/Hello.TXT", "/public/nothing",
		"/public/hello.txt?", "/public/hello.txt?q=a+b&r=%2F..%2F;c|d&e=/secret/marker.txt?x", "/public/hello.txt?%zz",
		"/public/caf%C3%A9.txt", "/public/caf%c3%a9.txt", "/public/%E6%97%A5%E6%9C%AC.txt", "/public/%F0%9F%98%80.txt", "/public/%C7%85.txt",
		"/public/a%20b.txt", "/public/a+b.txt", "/public/a%2Bb.txt", "/public/100%25.txt", "/public/a:b.txt", "/public/a%3Ab.txt", "/public/what%3F.txt",
		"/public/no%231.txt", "/public/%22quoted%22.txt", "/public/a&b=c,d@e!$'()*.txt", "/public/a%26b%3Dc%2Cd%40e%21%24%27%28%29%2A.txt",
		"/public/a[1].txt", "/public/a%5B1%5D.txt", "/public/wait%E2%80%A6.txt", "/public/~joe.txt", "/public/%7Ejoe.txt", "/public/v1..2.txt",
		"/public/a;b.txt", "/public/a%3Bb.txt", "/public/a%2Fb.txt", "/public/a%2fb.txt", "/public/a/b.txt", "/public/secret/marker.txt",
		"/public/hello.txt;jsessionid=0A1B2C.node1", "/public/secret;v=1/marker.txt;x=2", "/public/%7Bx%7D%7Cy%5E%60%3Cz%3E.txt", "/public/%68ello.txt",
		"/public/hello%2Etxt", "/public/ends.", "/public/etc...", "/public/what-is-missing.../x.txt", "/public/%E2%80%A6",
		"/public/%E2%80%A6/x.txt", "/public/(draft)/x.txt", "/public/https%3A%2F%2Fexample.test%2Fa", "/public/%D0%BF%D1%80%D0%B8%D0%B2%D0%B5%D1%82-%D0%BC%D0%B8%D1%80",
	}
)

// The gates pass on what is honest: the same bytes, the same answer.
func TestHonestSpellingsArriveAsTheyAre(t *testing.T) {
	for name, start := range legacytest.Trees() {
		t.Run(name, func(t *testing.T) {
			tree := start(t)
			for _, file := range honestFiles {
				path := filepath.Join(tree.Dir, "docs/public", file)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte("this is "+file+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			between := startRelay(t, tree.Addr)
			found := 0
			for _, gate := range startTreeGates(t, tree, between.addr) {
				want := askAll(t, tree.Addr, gate.addr, honestTargets)
				for i, target := range honestTargets {
					w := wire{addr: gate.addr, host: gate.addr}
					got, err := w.get(target)
					w.close()
					if err != nil {
						t.Fatal(err)
					}
					if diff := cmp.Diff(want[i], got); diff != "" {
						t.Errorf("GET %s (-directly +through the gate):\n%s", target, diff)
					}
					if seen := between.taken(); !strings.HasPrefix(seen, "GET "+target+" HTTP/1.1\r\n") {
						t.Errorf("GET %s arrived as %.200q", target, seen)
					}
					if got.Status == http.StatusOK {
						found++
					}
				}
			}
			t.Logf("%d of %d answers of %s were files", found, 3*len(honestTargets), name)
		})
	}
}
