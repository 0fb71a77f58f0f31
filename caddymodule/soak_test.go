package caddymodule

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	goruntime "runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stepgate/stepgate/internal/demo"
)

const (
	soakBrowsers    = 8
	soakAccounts    = 20 // of each browser, used in turn
	soakReloadEvery = 3 * time.Second
)

const soakSite = `{{site}} {
	stepgate {
		policy {
			public            /about /assets/*
			require signed_in /
			default           mfa
		}
		pages {
			help "{{round}}"
		}
	}
	reverse_proxy {{upstream}} {
		transport http {
			keepalive 1s
		}
	}
}
`

// soak is what the browsers of a soak share.
type soak struct {
	*rig
	until time.Time
	lost  atomic.Int64 // connections

	mu    sync.Mutex
	walks []time.Duration
	codes int
}

// TestSoak has many people sign in, prove themselves, work and sign out at
// once, while the configuration is reloaded under them, for as long as
// STEPGATE_TEST_SOAK says. Every answer must be the right one, and nothing may
// pile up. scripts/soak runs it.
func TestSoak(t *testing.T) {
	span, err := time.ParseDuration(os.Getenv("STEPGATE_TEST_SOAK"))
	if err != nil {
		t.Skip("STEPGATE_TEST_SOAK names no length of time; scripts/soak does")
	}
	s := &soak{rig: startGateway(t, strings.ReplaceAll(soakSite, "{{round}}", "0"), demo.New())}
	for i := range soakBrowsers * soakAccounts {
		s.addUser(soakName(i))
	}
	before := used(t)
	s.until = time.Now().Add(span)
	t.Run("all at once", func(t *testing.T) {
		t.Run("reload", s.reload)
		for i := range soakBrowsers {
			t.Run(fmt.Sprintf("browser %d", i), func(t *testing.T) { s.people(t, i*soakAccounts) })
		}
	})
	after := used(t)
	slices.Sort(s.walks)
	if len(s.walks) == 0 {
		t.Fatal("nobody got through")
	}
	t.Logf("%d walks, %d codes, %d connections lost at reloads; a walk took %s (median), %s (99 of 100)", len(s.walks), s.codes, s.lost.Load(),
		s.walks[len(s.walks)/2].Round(time.Millisecond), s.walks[len(s.walks)*99/100].Round(time.Millisecond))
	t.Logf("goroutines %d, then %d; heap %d MiB, then %d MiB", before.goroutines, after.goroutines, before.heap>>20, after.heap>>20)
	if after.goroutines > before.goroutines+50 {
		t.Errorf("goroutines pile up: %d, then %d", before.goroutines, after.goroutines)
	}
	if after.heap > before.heap+128<<20 {
		t.Errorf("memory piles up: %d MiB, then %d MiB", before.heap>>20, after.heap>>20)
	}
}

// again sends a request once more where its connection was lost before an
// answer came. At a reload Caddy opens its sockets anew, and what the kernel
// had queued at the old ones is reset; browsers connect again, and so does
// this.
type again struct {
	*http.Transport
	lost *atomic.Int64
}

func (a again) RoundTrip(r *http.Request) (*http.Response, error) {
	for try := 1; ; try++ {
		resp, err := a.Transport.RoundTrip(r)
		if try == 3 || !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
			return resp, err
		}
		a.lost.Add(1)
		if r.GetBody == nil {
			continue
		}
		r = r.Clone(r.Context())
		if r.Body, err = r.GetBody(); err != nil {
			return nil, err
		}
	}
}

func soakName(i int) string { return fmt.Sprintf("person%d", i) }

type usage struct {
	goroutines int
	heap       uint64
}

// used is what the process holds once it has come to rest: nothing has ended
// for longer than the proxy keeps its connections.
func used(t *testing.T) usage {
	least, since := goruntime.NumGoroutine(), time.Now()
	waitFor(t, func() bool {
		if n := goruntime.NumGoroutine(); n < least {
			least, since = n, time.Now()
		}
		return time.Since(since) > 2*time.Second
	})
	goruntime.GC()
	goruntime.GC() // what pools have kept goes with the second
	var mem goruntime.MemStats
	goruntime.ReadMemStats(&mem)
	return usage{goruntime.NumGoroutine(), mem.HeapAlloc}
}

func (s *soak) over() bool { return time.Now().After(s.until) }

// reload puts a changed configuration in place of the one before, again and
// again.
func (s *soak) reload(t *testing.T) {
	t.Parallel()
	tick := time.NewTicker(soakReloadEvery)
	defer tick.Stop()
	for round := 1; !s.over(); round++ {
		<-tick.C
		if err := s.tryLoad(strings.ReplaceAll(soakSite, "{{round}}", fmt.Sprint(round))); err != nil {
			t.Fatalf("reload %d: %v", round, err)
		}
	}
}

// people walks as one account after the other, each with a browser of its own.
func (s *soak) people(t *testing.T, first int) {
	t.Parallel()
	var browsers []*browser
	for range soakAccounts {
		b := s.browser()
		b.t, b.client.Transport = t, again{b.client.Transport.(*http.Transport), &s.lost}
		browsers = append(browsers, b)
	}
	defer func() {
		for _, b := range browsers {
			b.client.CloseIdleConnections()
		}
	}()
	for n := 0; !s.over(); n++ {
		begun := time.Now()
		coded := s.walk(browsers[n%soakAccounts], soakName(first+n%soakAccounts))
		s.mu.Lock()
		s.walks = append(s.walks, time.Since(begun))
		if coded {
			s.codes++
		}
		s.mu.Unlock()
	}
}

// walk is one visit. Each code counts once, so who has just used one only
// goes where the password is enough.
func (s *soak) walk(b *browser, name string) (coded bool) {
	b.get("/about").want(http.StatusOK, "/about")
	b.signIn(b.get("/").at("/sign-in"), name).want(http.StatusOK, "/")
	if b.secret == "" || time.Since(b.used) > 31*time.Second {
		coded = true
		if p := b.get("/cases?page=2"); b.secret == "" {
			b.enrol(p.atEnrolment()).want(http.StatusOK, "/cases?page=2")
		} else {
			b.submit(p.at("/challenge/totp"), "code", map[string]string{"code": b.code(), "action": "verify"}).want(http.StatusOK, "/cases?page=2")
		}
		for range 10 {
			b.get("/api/cases/1001/status", fetch).want(http.StatusOK, "/api/cases/1001/status")
		}
	}
	b.get("/").want(http.StatusOK, "/")
	b.submit(b.get("/.stepgate/sign-out"), "", nil)
	b.get("/api/cases/1001/status", fetch).want(http.StatusUnauthorized, "/api/cases/1001/status")
	return coded
}
