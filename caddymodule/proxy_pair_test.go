package caddymodule

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

// pair is one upstream behind the gateway and behind a bare reverse_proxy, in
// the same Caddy.
type pair struct {
	*rig
	bare   string // URL
	cookie string // of somebody signed in
	told   chan string
	// scripted says that the gateway adds its script.
	scripted bool
}

const pairSite = `{{site}} {
	stepgate {
		OPTION
		policy {
			public  /public/*
			default signed_in
		}
	}
	reverse_proxy UPSTREAM
}

BARE {
	reverse_proxy UPSTREAM
}
`

// startPair starts both, with an upstream that tells what it got of each
// request before it answers.
func startPair(t *testing.T, option string, answer http.Handler) *pair {
	t.Helper()
	p := &pair{bare: "http://" + freeAddress(t), told: make(chan string, 10), scripted: option == "inject_step_up"}
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.told <- p.tell(r)
		answer.ServeHTTP(w, r)
	}))
	t.Cleanup(upstream.Close)
	p.rig = startGateway(t, strings.NewReplacer("UPSTREAM", upstream.Listener.Addr().String(), "BARE", p.bare, "OPTION", option).Replace(pairSite), nil)
	p.addUser("joe")
	b := p.browser()
	b.signIn(b.get("/"), "joe").want(200, "/")
	p.got()
	p.cookie = cookiesOf(b)
	return p
}

func cookiesOf(b *browser) string {
	var pairs []string
	for _, c := range b.jar.Cookies(mustParse(b.base)) {
		pairs = append(pairs, c.Name+"="+c.Value)
	}
	return strings.Join(pairs, "; ")
}

// tell writes down everything that the upstream can see of a request, but for
// who is signed in, which a bare proxy does not know, and the two ports.
func (p *pair) tell(r *http.Request) string {
	var b strings.Builder
	body := sha256.New()
	n, err := io.Copy(body, r.Body)
	fmt.Fprintf(&b, "%s %s %s length %d %s\n", r.Method, r.RequestURI, r.Proto, r.ContentLength, r.TransferEncoding)
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		if !strings.HasPrefix(name, "Remote-") && name != assertionHeader {
			fmt.Fprintf(&b, "%s: %q\n", name, r.Header[name])
		}
	}
	fmt.Fprintf(&b, "body %d %x %v\ntrailers %v\n", n, body.Sum(nil)[:8], err, r.Trailer)
	return strings.NewReplacer(mustParse(p.url).Host, "HOST", mustParse(p.bare).Host, "HOST").Replace(b.String())
}

// got is what the upstream got of the newest request.
func (p *pair) got() string {
	p.t.Helper()
	select {
	case told := <-p.told:
		return told
	case <-time.After(patience):
		p.t.Fatal("nothing reached the upstream")
		return ""
	}
}

// exchange sends a request as it is written and returns the raw answer, but
// for the time of day.
func (p *pair) exchange(site, request string) string {
	p.t.Helper()
	u := mustParse(site)
	conn, err := net.Dial("tcp", u.Host)
	if err != nil {
		p.t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		p.t.Fatal(err)
	}
	head, body, _ := strings.Cut(strings.ReplaceAll(request, "HOST", u.Host), "\r\n\r\n")
	if _, err := io.WriteString(conn, head+"\r\n\r\n"); err != nil {
		p.t.Fatal(err)
	}
	answer := bufio.NewReader(conn)
	var raw strings.Builder
	if strings.Contains(head, "100-continue") {
		line, err := answer.ReadString('\n')
		if err != nil || line != "HTTP/1.1 100 Continue\r\n" {
			p.t.Fatalf("asked to go on with %q, %v", line, err)
		}
		raw.WriteString(line)
	}
	go io.WriteString(conn, body)
	for {
		line, err := answer.ReadString('\n')
		if !strings.HasPrefix(line, "Date: ") && !strings.HasPrefix(line, "Last-Modified: ") {
			raw.WriteString(line)
		}
		if err == io.EOF {
			// Caddy passes on the upstream's word to go on as well, if it
			// comes before the body has been read.
			const goOn = "HTTP/1.1 100 Continue\r\n\r\n"
			text := strings.ReplaceAll(raw.String(), goOn+goOn, goOn)
			return strings.ReplaceAll(text, u.Host, "HOST")
		}
		if err != nil {
			p.t.Fatal(err)
		}
	}
}
