package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	soakWorkers = 4
	soakPeople  = 6 // of each worker
	soakPause   = 4 * time.Second
)

// soaking is three nodes under load, and what may excuse them.
type soaking struct {
	*nodes
	until time.Time
	// down is set while something is away that an answer needs; upAt is when it
	// was last back, in Unix nanoseconds.
	down  atomic.Bool
	upAt  atomic.Int64
	round int
	// what was done
	answers, walks, races, excused, unheard atomic.Int64
}

// TestSoakNodes has people sign in, prove themselves, work, send forms and sign
// out over three nodes, for as long as STEPGATE_TEST_SOAK says, while nodes are
// reloaded and killed, keys are rotated, and the database is restarted and in
// the end fails over. Nobody may be let through who should not be, nobody kept
// out while nothing is away, no code may pass twice, the audit trail must hold,
// and nothing may pile up. scripts/soak runs it.
func TestSoakNodes(t *testing.T) {
	span, err := time.ParseDuration(os.Getenv("STEPGATE_TEST_SOAK"))
	if err != nil {
		t.Skip("STEPGATE_TEST_SOAK names no length of time; scripts/soak does")
	}
	s := &soaking{nodes: startNodes(t, nil)}
	var people [soakWorkers][]*person
	for w := range people {
		for i := range soakPeople {
			p := s.person(fmt.Sprintf("person%d-%d", w, i))
			fromElsewhere(p).at(s.all[i%3]).enrol("/cases/1")
			people[w] = append(people[w], p)
		}
	}
	s.until = time.Now().Add(span)
	var before [3]weight
	t.Run("all at once", func(t *testing.T) {
		t.Run("trouble", func(t *testing.T) { t.Parallel(); before = s.trouble(t, span) })
		for w := range people {
			t.Run(fmt.Sprintf("people %d", w), func(t *testing.T) { t.Parallel(); s.work(t, people[w]) })
		}
	})
	t.Logf("%d answers, %d walks with a code, %d codes sent by two at once; %d answers excused and %d unheard while something was away",
		s.answers.Load(), s.walks.Load(), s.races.Load(), s.excused.Load(), s.unheard.Load())
	for i, one := range s.all {
		after := s.weigh(one)
		t.Logf("node %d: %d goroutines and %d MiB, then %d and %d MiB", i, before[i].goroutines, before[i].rss>>20, after.goroutines, after.rss>>20)
		if after.goroutines > before[i].goroutines+60 || after.rss > before[i].rss*3/2+64<<20 {
			t.Error("something piles up")
		}
	}
	s.command(s.all[0], "", "audit", "verify")
}

// weight is what a process holds.
type weight struct{ goroutines, rss int }

func (s *soaking) weigh(one *node) (w weight) {
	s.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(one.dir, "admin.sock"))
	}}}
	number := func(text, name string) int {
		_, rest, found := strings.Cut(text, "\n"+name)
		n, err := strconv.Atoi(strings.Fields(rest + " -")[0])
		if !found || err != nil {
			s.Fatalf("%s: %v in\n%s", name, err, text)
		}
		return n
	}
	resp, err := client.Get("http://127.0.0.1/metrics")
	if err != nil {
		s.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil {
		w.goroutines = number(string(text), "go_goroutines ")
		text, err = os.ReadFile(fmt.Sprintf("/proc/%d/status", one.process.Process.Pid))
	}
	if err != nil {
		s.Fatal(err)
	}
	w.rss = number(string(text), "VmRSS:") << 10
	return w
}

// trouble makes one kind after the other. It gives what the nodes weighed a
// fifth of the way.
func (s *soaking) trouble(t *testing.T, span time.Duration) (before [3]weight) {
	failed, weighed := false, false
	for n := 0; time.Now().Before(s.until); n++ {
		left := time.Until(s.until)
		if !weighed && left < span*4/5 {
			weighed = true
			for i, one := range s.all {
				before[i] = s.weigh(one)
			}
		}
		switch {
		case left < span/5 && !failed:
			failed = true
			s.away("the database fails over", s.database.FailOver)
		case n%4 == 0:
			s.reload(s.all[n/4%3])
		case n%4 == 1:
			s.rotate()
		case n%4 == 2 && !failed:
			s.away("the database is killed", func() {
				s.database.Primary.Kill()
				time.Sleep(time.Second)
				s.database.Primary.Start()
			})
		case n%4 == 3:
			s.away("a node is killed", func() {
				s.all[1].kill()
				s.start(s.all[1])
			})
		}
		time.Sleep(min(soakPause, max(0, time.Until(s.until))))
	}
	if !failed || !weighed {
		t.Error("the time was too short for all that there is to do")
	}
	return before
}

// away does something that keeps nodes from answering for a while.
func (s *soaking) away(what string, do func()) {
	s.down.Store(true)
	do()
	for _, one := range s.all {
		s.nodes.until("all have healed after "+what, func() bool { return s.browser().at(one).get("/.stepgate/health").status == http.StatusNoContent })
	}
	s.upAt.Store(time.Now().UnixNano())
	s.down.Store(false)
}

// reload puts another configuration in place.
func (s *soaking) reload(one *node) {
	s.round++
	path := filepath.Join(one.dir, "Caddyfile")
	text, err := os.ReadFile(path)
	if err != nil {
		s.Fatal(err)
	}
	head, tail, _ := strings.Cut(string(text), "public /public/*")
	_, tail, _ = strings.Cut(tail, "\n")
	s.write(path, fmt.Sprintf("%spublic /public/* /round%d\n%s", head, s.round, tail))
	s.reread(one)
}

// right counts an answer, and fails the test for a wrong one while nothing is
// away.
func (s *soaking) right(t *testing.T, begun time.Time, ok bool, what string, a answer) bool {
	s.answers.Add(1)
	if ok {
		return true
	}
	if s.down.Load() || s.upAt.Load() > begun.UnixNano() {
		s.excused.Add(1)
		return false
	}
	t.Errorf("%s: %d at %v\n%.300s", what, a.status, a.url, a.body)
	return false
}

// fetch is get, again where a connection was lost at a reload.
func (s *soaking) fetch(p *person, target string) (a answer) {
	for range 3 {
		if a = p.at(s.all[rand.IntN(3)]).get(target); a.status != 0 {
			return a
		}
		s.unheard.Add(1)
	}
	return a
}

func (s *soaking) work(t *testing.T, people []*person) {
	out := map[*person]bool{}
	for n := 0; time.Now().Before(s.until); n++ {
		p := people[n%len(people)]
		p.T = t
		if s.strangerPasses(t) {
			return
		}
		if p.used.Before(time.Now().Add(-30 * time.Second)) {
			out[p] = !s.walk(t, p, n)
			continue
		}
		time.Sleep(10 * time.Millisecond)
		if out[p] { // something was away as they came, and they wait for their next code
			continue
		}
		begun := time.Now()
		target := fmt.Sprintf("/cases/%d", n)
		a := s.fetch(p, target)
		s.right(t, begun, a.status == http.StatusOK && a.url.Path == target && strings.HasPrefix(a.body, "upstream "+p.name), "a session that lives", a)
	}
}

// strangerPasses looks at what nobody may see, whatever is away.
func (s *soaking) strangerPasses(t *testing.T) bool {
	if a := s.fetch(s.visitor(t, ""), "/cases/1"); a.status == http.StatusOK && a.url.Path == "/cases/1" {
		t.Errorf("a stranger was let through: %s", a.body)
		return true
	}
	return false
}

// walk signs a person out and in, every third time with the code sent by two
// browsers at two nodes at once, and has a thief try the cookies of the session
// that has ended. It tells whether the person is in.
func (s *soaking) walk(t *testing.T, p *person, n int) bool {
	begun, target := time.Now(), fmt.Sprintf("/cases/%d", n)
	site, _ := url.Parse(nodesOrigin)
	stolen := p.client.Jar.Cookies(site)
	page := s.fetch(p, "/.stepgate/sign-out")
	if strings.Contains(page.body, `name="csrf_token"`) {
		page = p.submit(page, "csrf_token", nil)
	}
	if page.status == 0 || page.status >= 500 {
		return page.status != 0 && s.right(t, begun, false, "signing out", page)
	}
	s.thief(t, begun, stolen)
	browsers := []*person{p}
	if n%3 == 0 {
		browsers = append(browsers, s.visitor(t, p.name))
	}
	var pages []answer
	for _, b := range browsers {
		a, ok := s.signIn(t, b, target)
		if !ok {
			return false
		}
		pages = append(pages, a)
	}
	return s.prove(t, p, browsers, pages, target)
}

// visitor is a browser of somebody.
func (s *soaking) visitor(t *testing.T, name string) *person {
	p := s.browser()
	p.T, p.name = t, name
	return fromElsewhere(p)
}

// fromElsewhere gives a browser an address of its own: what one does wrong is
// not counted against the others.
func fromElsewhere(p *person) *person {
	from := &net.TCPAddr{IP: net.IPv4(127, byte(1+rand.IntN(250)), byte(rand.IntN(250)), byte(1+rand.IntN(250)))}
	p.client.Transport.(*http.Transport).DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{LocalAddr: from}).DialContext(ctx, network, p.to.Load().addr)
	}
	return p
}

// signIn gets as far as the question for a code.
func (s *soaking) signIn(t *testing.T, p *person, target string) (answer, bool) {
	begun := time.Now()
	door := s.fetch(p, target)
	if !strings.Contains(door.body, `name="username"`) {
		return door, door.status != 0 && s.right(t, begun, false, "no sign-in", door)
	}
	a := p.submit(door, "username", map[string]string{"username": p.name, "password": nodesPassword})
	if !strings.Contains(a.body, `name="code"`) {
		return a, a.status != 0 && s.right(t, begun, false, "no question for a code", a)
	}
	return a, true
}

// prove sends one code from all browsers at once. The one that it let in is the
// person's from now on.
func (s *soaking) prove(t *testing.T, p *person, browsers []*person, pages []answer, target string) bool {
	code, begun := p.code(), time.Now()
	got := make([]answer, len(browsers))
	var all sync.WaitGroup
	for i, b := range browsers {
		all.Go(func() { got[i] = b.submit(pages[i], "code", map[string]string{"code": code, "action": "verify"}) })
	}
	all.Wait()
	passed, heard := 0, true
	for i, a := range got {
		heard = heard && a.status != 0
		if a.status == http.StatusOK && a.url.Path == target {
			passed++
			p.client.Jar = browsers[i].client.Jar
		}
	}
	if passed > 1 {
		t.Errorf("a code passed %d times", passed)
	}
	if len(browsers) > 1 {
		s.races.Add(1)
	}
	s.walks.Add(1)
	if heard {
		s.right(t, begun, passed == 1, "a right code", got[0])
	}
	return passed == 1
}

// thief tries cookies of a session that has been signed out of, on all nodes.
func (s *soaking) thief(t *testing.T, begun time.Time, stolen []*http.Cookie) {
	site, _ := url.Parse(nodesOrigin)
	thief := s.visitor(t, "")
	for _, one := range s.all {
		end := time.Now().Add(10 * time.Second) // a second, on a machine that does nothing else
		for {
			thief.client.Jar.SetCookies(site, stolen)
			a := thief.at(one).get("/cases/1")
			if a.status != http.StatusOK || a.url.Path != "/cases/1" {
				break
			}
			if time.Now().After(end) {
				s.right(t, begun, false, "a session that was signed out of", a)
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
}
