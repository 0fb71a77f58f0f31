package caddymodule

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
)

// relay passes connections on to a server and keeps what clients sent.
type relay struct {
	addr string
	mu   sync.Mutex
	seen bytes.Buffer
}

func startRelay(t *testing.T, server string) *relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	r := &relay{addr: l.Addr().String()}
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go r.pass(client, server)
		}
	}()
	return r
}

func (r *relay) pass(client net.Conn, server string) {
	defer client.Close()
	upstream, err := net.Dial("tcp", server)
	if err != nil {
		return
	}
	defer upstream.Close()
	go func() {
		io.Copy(upstream, io.TeeReader(client, r))
		upstream.(*net.TCPConn).CloseWrite()
	}()
	io.Copy(client, upstream)
}

func (r *relay) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seen.Write(p)
}

// taken gives what was sent since it was last asked.
func (r *relay) taken() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	text := r.seen.String()
	r.seen.Reset()
	return text
}

const fieldSite = `{{site}} {
	stepgate {
		policy {
			public           /app.do
			require mfa      /app.do?action=delete*
			public           /item
			require mfa      DELETE /item
			require signed_in /report
			raise mfa when query export=*
		}
	}
	reverse_proxy {{upstream}}
}
`

// Two headers, or one that only a careless parser takes for a form's: what
// the upstream may read counts.
func TestFormsOfAnyKindCount(t *testing.T) {
	g := startGateway(t, fieldSite, nil)
	const form, part = "action=deleteAll", "--b\r\nContent-Disposition: form-data; name=\"action\"\r\n\r\ndeleteAll\r\n--b--\r\n"
	for types, body := range map[string]string{
		"Content-Type: application/x-www-form-urlencoded":                                                form,
		"Content-Type: text/plain\r\nContent-Type: application/x-www-form-urlencoded":                    form,
		"Content-Type: application/json, application/x-www-form-urlencoded":                              form,
		"Content-Type: application/x-www-form-urlencoded-x":                                              form,
		"Content-Type: application/x-www-form-urlencoded\r\nContent-Encoding: gzip":                      form,
		"Content-Encoding:\r\nContent-Encoding: gzip\r\nContent-Type: application/x-www-form-urlencoded": "\x1f\x8b",
		"Content-Type: multipart/form-data; boundary=b":                                                  part,
		"Content-Type: multipart/mixed; boundary=b":                                                      part,
		"Content-Type: multipart/form-data; boundary=x\r\nContent-Type: text/plain; boundary=b":          part,
		"X-None: 1": form,
	} {
		g.raw(fmt.Sprintf("POST /app.do HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n%s\r\nContent-Length: %d\r\n\r\n%s", types, len(body), body))
		if got := g.last(); got != nil {
			t.Errorf("%q reached the upstream", types)
		}
	}
	for types, body := range map[string]string{
		"Content-Type: application/x-www-form-urlencoded": "action=view&note=100%25+action",
		"Content-Type: application/json":                  `{"action":"delete"}`,
		"Content-Type: text/plain":                        form,
	} {
		g.raw(fmt.Sprintf("POST /app.do HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n%s\r\nContent-Length: %d\r\n\r\n%s", types, len(body), body))
		if got := g.last(); got == nil || got.Body != body {
			t.Errorf("%q did not arrive as it was: %v", types, got)
		}
	}
}

func TestListsOfClaimedMethodsCount(t *testing.T) {
	g := startGateway(t, fieldSite, nil)
	for claim, stopped := range map[string]bool{
		"X-HTTP-Method-Override: DELETE":                true,
		"X-Http-Method-Override: delete, PATCH":         true,
		"x-method-override: PATCH,DELETE":               true,
		"X-HTTP-Method: PATCH\r\nX-HTTP-Method: DELETE": true,
		"X-HTTP-Method-Override: PATCH":                 false,
		"X-HTTP-Method-Override: DELETED":               false,
	} {
		g.raw("POST /item HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n" + claim + "\r\nContent-Length: 0\r\n\r\n")
		if got := g.last(); (got == nil) != stopped {
			t.Errorf("%q: the upstream got %v", claim, got)
		}
	}
}

// Caddy's matcher sees nothing in a query of which one field is broken; PHP
// does.
func TestBrokenQueryRaises(t *testing.T) {
	g := startGateway(t, fieldSite, nil)
	g.addUser("joe")
	b := g.browser()
	b.signIn(b.get("/report"), "joe").want(200, "/report")
	for query, status := range map[string]int{"?x=1": 200, "?x=a%20b&y": 200, "?export=1": 401, "?export=1&%zz": 401, "?x;export=1": 401} {
		if p := b.get("/report"+query, fetch); p.status != status {
			t.Errorf("%s: %d, want %d", query, p.status, status)
		}
	}
}
