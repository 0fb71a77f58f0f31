package caddymodule

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/people"
)

const streamSite = `{{site}} {
	TLS
	stepgate {
		policy {
			level fresh_code {
				accept totp
				max_age 6s
			}
			public             /public/*
			require fresh_code /fresh/*
			require signed_in  /signed/*
			default            mfa
		}
		OPTION
	}
	reverse_proxy UPSTREAM
}

BARE {
	reverse_proxy UPSTREAM
}
`

// superviseEvery is how often an open stream is looked at, in package gate.
const superviseEvery = time.Second

// streaming is a gateway before an upstream with streams, and a bare proxy.
type streaming struct {
	*rig
	t    *testing.T
	bare string
	joe  account.Account
	// left tells of streams that the upstream has seen the end of.
	left chan string
	// more lets a slow page go on.
	more chan bool
}

// startStreaming runs the upstream: …/socket is a WebSocket that echoes
// bytes, …/events an event stream, …/quiet one that says nothing more after
// its first event. Over TLS the gateway speaks HTTP/2.
func startStreaming(t *testing.T, option string, secure bool) *streaming {
	t.Helper()
	s := &streaming{t: t, bare: "http://" + freeAddress(t), left: make(chan string, 20), more: make(chan bool, 1)}
	upstream := httptest.NewServer(http.HandlerFunc(s.stream))
	t.Cleanup(upstream.Close)
	internal := ""
	if secure {
		internal = "tls internal"
	}
	site := strings.NewReplacer("UPSTREAM", upstream.Listener.Addr().String(), "BARE", s.bare, "OPTION", option, "TLS", internal).Replace(streamSite)
	s.rig = startGateway(t, strings.Replace(site, "tls internal", "", 1), nil)
	if secure {
		s.secure(site)
	}
	s.joe = s.addUser("joe")
	return s
}

func (s *streaming) stream(w http.ResponseWriter, r *http.Request) {
	switch {
	case strings.HasSuffix(r.URL.Path, "/socket") && r.Header.Get("Upgrade") == "websocket":
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer s.leave(r)
		defer conn.Close()
		io.WriteString(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: "+acceptOf(r.Header.Get("Sec-WebSocket-Key"))+"\r\n\r\n")
		rw.Flush()
		io.Copy(conn, rw)
	case strings.HasSuffix(r.URL.Path, "/events"), strings.HasSuffix(r.URL.Path, "/quiet"):
		defer s.leave(r)
		w.Header().Set("Content-Type", "text/event-stream")
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for n := 0; ; n++ {
			if n == 0 || strings.HasSuffix(r.URL.Path, "/events") {
				fmt.Fprintf(w, "data: %d\n\n", n)
				w.(http.Flusher).Flush()
			}
			select {
			case <-r.Context().Done():
				return
			case <-tick.C:
			}
		}
	case strings.HasSuffix(r.URL.Path, "/slow"):
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, "<html><head><title>one</title>\n")
		w.(http.Flusher).Flush()
		select {
		case <-s.more:
		case <-r.Context().Done():
		}
		io.WriteString(w, "two\n")
	default:
		fmt.Fprint(w, "page")
	}
}

func (s *streaming) leave(r *http.Request) { s.left <- r.RequestURI }

// enrolled is a browser with a fresh code, and when that was made.
func (s *streaming) enrolled() (*browser, time.Time) {
	s.t.Helper()
	b := s.browser()
	b.client.Transport = &http.Transport{
		DisableCompression: true, ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // Caddy's own authority
	}
	s.t.Cleanup(b.client.CloseIdleConnections)
	p := b.signIn(b.get("/page"), "joe")
	at := time.Now()
	b.enrol(p).want(200, "/page")
	return b, at
}

// openStream is a stream as a browser has it.
type openStream struct {
	t    *testing.T
	name string
	read *bufio.Reader
	send io.Writer
	// ended is when the stream ended, once it has.
	ended chan time.Time
}

// socket opens a WebSocket with the browser's cookies.
func (b *browser) socket(t *testing.T, site, path string) *openStream {
	t.Helper()
	u := mustParse(site)
	conn, err := net.Dial("tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: "+sampleKey+"\r\nSec-WebSocket-Version: 13\r\nOrigin: %s\r\nCookie: %s\r\n\r\n",
		path, u.Host, site, cookiesOf(b))
	s := &openStream{t: t, name: "WebSocket " + path, read: bufio.NewReader(conn), send: conn, ended: make(chan time.Time, 1)}
	resp, err := http.ReadResponse(s.read, nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusSwitchingProtocols || resp.Header.Get("Sec-WebSocket-Accept") != sampleAccept {
		t.Fatalf("%s: %s %v", path, resp.Status, resp.Header)
	}
	s.echoes()
	return s
}

// echoes sends a line and wants it back.
func (s *openStream) echoes() {
	s.t.Helper()
	io.WriteString(s.send, "hello\n")
	if line, err := s.read.ReadString('\n'); line != "hello\n" {
		s.t.Fatalf("%s echoed %q, %v", s.name, line, err)
	}
}

// events opens an event stream, which an EventSource asks for by name and a
// fetch does not, and reads its first event.
func (b *browser) events(t *testing.T, path string, asked bool) *openStream {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, b.base+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	fetch(r)
	if asked {
		r.Header.Set("Accept", "text/event-stream")
	}
	resp, err := b.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	name := fmt.Sprintf("%s %s (asked by name: %t)", resp.Proto, path, asked)
	s := &openStream{t: t, name: name, read: bufio.NewReader(resp.Body), ended: make(chan time.Time, 1)}
	if line, err := s.read.ReadString('\n'); line != "data: 0\n" {
		t.Fatalf("%s begins with %q, %v (%s)", path, line, err, resp.Status)
	}
	return s
}

// follow reads on until the stream ends.
func (s *openStream) follow() *openStream {
	go func() {
		io.Copy(io.Discard, s.read)
		s.ended <- time.Now()
	}()
	return s
}

// deafen sends and sends, and reads nothing of what comes back, until the
// stream ends. It returns once nothing more goes out.
func (s *openStream) deafen() *openStream {
	s.t.Helper()
	var sent atomic.Int64
	go func() {
		for lines := strings.Repeat("hello\n", 10_000); ; {
			n, err := io.WriteString(s.send, lines)
			if sent.Add(int64(n)); err != nil {
				s.ended <- time.Now()
				return
			}
		}
	}()
	waitFor(s.t, func() bool {
		before := sent.Load()
		time.Sleep(300 * time.Millisecond)
		return before > 0 && sent.Load() == before
	})
	s.name += " that nobody reads"
	return s
}

// endsWithin wants the stream's end within five seconds of something.
func (s *openStream) endsWithin(since time.Time) {
	s.t.Helper()
	select {
	case at := <-s.ended:
		s.t.Logf("%s ended after %s", s.name, at.Sub(since).Round(10*time.Millisecond))
		if at.Before(since) {
			s.t.Errorf("%s ended too early", s.name)
		}
	case <-time.After(time.Until(since.Add(5 * time.Second))):
		s.t.Errorf("%s is open after five seconds", s.name)
	}
}

// outlasts wants the stream open until a time.
func (s *openStream) outlasts(until time.Time) {
	s.t.Helper()
	select {
	case at := <-s.ended:
		s.t.Errorf("%s ended %s before", s.name, until.Sub(at).Round(10*time.Millisecond))
	case <-time.After(time.Until(until)):
	}
}

func TestStreamsPassAsThroughABareProxy(t *testing.T) {
	for _, option := range []string{"", "inject_step_up"} {
		t.Run(option, func(t *testing.T) { streamsPass(t, startStreaming(t, option, false)) })
	}
}

func streamsPass(t *testing.T, s *streaming) {
	b, _ := s.enrolled()
	for _, site := range []string{s.bare, s.url} {
		socket := b.socket(t, site, "/socket")
		began := time.Now()
		for range 100 {
			socket.echoes()
		}
		t.Logf("%s: 100 echoes in %s", site, time.Since(began))
	}
	events := b.events(t, "/events", true)
	for n := 1; n < 10; n++ {
		events.read.ReadString('\n')
		began := time.Now()
		if line, err := events.read.ReadString('\n'); line != fmt.Sprintf("data: %d\n", n) || time.Since(began) > 10*time.Second {
			t.Fatalf("event %d: %q after %s, %v", n, line, time.Since(began), err)
		}
	}
	slow, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/slow", nil)
	if err != nil {
		t.Fatal(err)
	}
	slow.Header.Set("Sec-Fetch-Mode", "navigate")
	slow.Header.Set("Sec-Fetch-Dest", "document")
	resp, err := b.client.Do(slow)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	read := bufio.NewReader(resp.Body)
	// What the app has sent is there before it goes on.
	if line, err := read.ReadString('\n'); !strings.HasSuffix(line, "<title>one</title>\n") || err != nil {
		t.Fatalf("a slow page begins with %q, %v", line, err)
	}
	s.more <- true
	if line, err := read.ReadString('\n'); line != "two\n" {
		t.Errorf("a slow page goes on with %q, %v", line, err)
	}
}

func (s *streaming) signOut(b *browser) {
	s.t.Helper()
	if p := b.submit(b.get("/.stepgate/sign-out"), "csrf_token", nil); !strings.Contains(p.body, "signed out") {
		s.t.Fatal(p.body)
	}
}

func (s *streaming) suspend(*browser) {
	s.t.Helper()
	if _, err := active.Load().people.Suspend(s.t.Context(), people.Operator(), people.Who{ID: s.joe.ID}, "test"); err != nil {
		s.t.Fatal(err)
	}
}

func TestStreamsEndWithTheirSession(t *testing.T) {
	for _, row := range []struct {
		name   string
		end    func(*streaming, *browser)
		secure bool
	}{
		{"sign-out", (*streaming).signOut, false},
		{"suspension", (*streaming).suspend, false},
		{"sign-out over HTTP/2", (*streaming).signOut, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := startStreaming(t, "keep_stream", row.secure)
			b, _ := s.enrolled()
			gone := []*openStream{
				b.events(t, "/events", true), b.events(t, "/events", false), b.events(t, "/quiet", true), b.events(t, "/quiet", false),
			}
			public := []*openStream{b.events(t, "/public/events", true), b.events(t, "/public/quiet", false)}
			if !row.secure {
				gone = append(gone, b.socket(t, s.url, "/socket"), b.socket(t, s.url, "/fresh/socket"))
				public = append(public, b.socket(t, s.url, "/public/socket"))
			}
			for _, o := range append(gone, public...) {
				o.follow()
			}
			if !row.secure {
				gone = append(gone, b.socket(t, s.url, "/socket").deafen())
			}
			since := time.Now()
			row.end(s, b)
			for _, o := range gone {
				o.endsWithin(since)
			}
			waitFor(t, func() bool { return len(s.left) >= len(gone) })
			for _, o := range public {
				o.outlasts(since.Add(3 * superviseEvery))
			}
		})
	}
}

func TestStreamsEndWithALevelOfTheirPath(t *testing.T) {
	s := startStreaming(t, "", false)
	b, proved := s.enrolled()
	out := proved.Add(6 * time.Second)
	gone := []*openStream{
		b.socket(t, s.url, "/fresh/socket").follow(), b.events(t, "/fresh/events", true).follow(),
		b.events(t, "/fresh/events", false).follow(), b.events(t, "/fresh/quiet", false).follow(),
	}
	stay := []*openStream{b.socket(t, s.url, "/socket").follow(), b.events(t, "/events", true).follow(), b.socket(t, s.url, "/public/socket").follow()}
	for _, o := range gone {
		o.endsWithin(out)
	}
	for _, o := range stay {
		o.outlasts(time.Now())
	}
}

func TestKeepStreamLeavesThoseWhoseLevelRanOut(t *testing.T) {
	s := startStreaming(t, "keep_stream", false)
	b, _ := s.enrolled()
	kept := []*openStream{b.socket(t, s.url, "/fresh/socket").follow(), b.events(t, "/fresh/events", false).follow()}
	since := time.Now()
	s.age(time.Minute)
	b.get("/fresh/page", fetch).want(http.StatusUnauthorized, "")
	for _, o := range kept {
		o.outlasts(since.Add(3 * superviseEvery))
	}
}

func TestARaisedSessionKeepsItsStreams(t *testing.T) {
	s := startStreaming(t, "", false)
	b, _ := s.enrolled()
	socket := b.socket(t, s.url, "/socket").follow()
	s.age(time.Minute)
	b.submit(b.get("/fresh/page").at("/challenge/totp"), "code", map[string]string{"code": b.code()}).want(200, "/fresh/page")
	socket.outlasts(time.Now().Add(3 * superviseEvery))
}
