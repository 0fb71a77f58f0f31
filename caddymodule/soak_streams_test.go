package caddymodule

import (
	"io"
	"net/http"
	"os"
	goruntime "runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	manySessions = 100
	manySockets  = 1000
	hugeBytes    = 2 << 30
)

// TestSoakStreams has a thousand WebSockets of a hundred sessions end with
// them, one by one and all at once, and two gigabytes pass in each direction.
// scripts/soak runs it.
func TestSoakStreams(t *testing.T) {
	if os.Getenv("STEPGATE_TEST_SOAK") == "" {
		t.Skip("STEPGATE_TEST_SOAK is not set; scripts/soak sets it")
	}
	t.Run("WebSockets", soakSockets)
	t.Run("2 GiB", soakHuge)
}

func soakSockets(t *testing.T) {
	s := startStreaming(t, "keep_stream", false)
	s.left = make(chan string, 2*manySockets)
	var browsers []*browser
	for len(browsers) < manySessions {
		b := s.browser()
		b.signIn(b.get("/signed/page"), "joe").want(http.StatusOK, "/signed/page")
		browsers = append(browsers, b)
	}
	before := used(t)
	var open sync.WaitGroup
	var last atomic.Int64
	var sockets []*openStream
	for i := range manySockets {
		sockets = append(sockets, browsers[i%manySessions].socket(t, s.url, "/signed/socket"))
	}
	for _, o := range sockets {
		open.Go(func() {
			io.Copy(io.Discard, o.read)
			last.Store(time.Now().UnixNano())
			o.ended <- time.Now()
		})
	}
	t.Logf("%d WebSockets of %d sessions are open: %d goroutines, %d MiB", len(sockets), len(browsers), goruntime.NumGoroutine(), used(t).heap>>20)
	for i, b := range browsers[:manySessions/2] {
		since := time.Now()
		s.signOut(b)
		for j := i; j < manySockets; j += manySessions {
			sockets[j].endsWithin(since)
		}
	}
	since := time.Now()
	s.suspend(nil)
	open.Wait()
	took := time.Unix(0, last.Load()).Sub(since)
	t.Logf("the last of the other half was gone %s after the suspension", took.Round(time.Millisecond))
	if took > 5*time.Second {
		t.Error("later than five seconds")
	}
	sockets = nil
	after := used(t)
	t.Logf("goroutines %d, then %d; heap %d MiB, then %d MiB", before.goroutines, after.goroutines, before.heap>>20, after.heap>>20)
	if after.goroutines > before.goroutines+50 || after.heap > before.heap+16<<20 {
		t.Error("something stays behind")
	}
}

// endless gives zeros.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func soakHuge(t *testing.T) {
	g := startGateway(t, scriptedSite, nil)
	var uploaded atomic.Int64
	g.upstream.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			n, _ := io.Copy(io.Discard, r.Body)
			uploaded.Store(n)
			return
		}
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, "<!doctype html><html><head>")
		io.CopyN(w, endless{}, hugeBytes)
	})
	before := used(t)
	var most atomic.Uint64
	stop := make(chan struct{})
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		for {
			var mem goruntime.MemStats
			goruntime.ReadMemStats(&mem)
			most.Store(max(most.Load(), mem.HeapAlloc))
			select {
			case <-stop:
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	}()
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		began := time.Now()
		var body io.Reader
		if method == http.MethodPost {
			body = io.LimitReader(endless{}, hugeBytes)
		}
		r, err := http.NewRequest(method, g.url+"/lib/huge", body)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Sec-Fetch-Mode", "navigate")
		r.Header.Set("Sec-Fetch-Dest", "document")
		r.Header.Set("Content-Type", "application/octet-stream")
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
		if method == http.MethodPost {
			got = uploaded.Load()
		}
		if err != nil || got < hugeBytes {
			t.Errorf("%s: %d bytes, %v", method, got, err)
		}
		t.Logf("%s of %d MiB: %s", method, got>>20, time.Since(began).Round(time.Millisecond))
	}
	close(stop)
	<-watched
	t.Logf("heap %d MiB before, %d MiB at most", before.heap>>20, most.Load()>>20)
	if most.Load() > before.heap+64<<20 {
		t.Error("memory grows with what passes")
	}
}
