package caddymodule

//lint:file-ignore SA1019 Only the packages that are to go change to HTTP/2 in the clear, and send an extended CONNECT.

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/quic-go/quic-go/http3"
	"golang.org/x/net/http2"
)

const connectSite = `{{site}} {
	TLS
	stepgate {
		inject_step_up
		policy {
			require mfa GET     /get/*
			require mfa CONNECT /connect/*
			raise mfa {
				form action delete
			}
			deny                /never/*
			default             public
		}
	}
	reverse_proxy UPSTREAM
}
`

// TestAnExtendedConnectIsJudgedAsWhatIsSent opens WebSockets over HTTP/3, and
// in a process of its own over HTTP/2, where Go's server has to be told.
func TestAnExtendedConnectIsJudgedAsWhatIsSent(t *testing.T) {
	if os.Getenv("STEPGATE_TEST_XCONNECT") == "" {
		t.Run("HTTP/2", func(t *testing.T) {
			program, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			again := exec.CommandContext(t.Context(), program, "-test.run", "^"+"TestAnExtendedConnectIsJudgedAsWhatIsSent"+"$", "-test.v")
			again.Env = append(os.Environ(), "STEPGATE_TEST_XCONNECT=1", "GODEBUG=http2xconnect=1")
			if out, err := again.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS") {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
	s := startSwitcher(t)
	s.answers("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ACCEPT\r\n")
	site := strings.NewReplacer("UPSTREAM", s.addr, "TLS", "tls internal").Replace(connectSite)
	g := startSecureGateway(t, site)
	dial := overHTTP3(t, g.url)
	if os.Getenv("STEPGATE_TEST_XCONNECT") != "" {
		dial = overHTTP2(g.url)
	}
	for path, status := range map[string]int{"/get/x": 401, "/connect/x": 401, "/never/x": 403, "/": 200, "/get": 401} {
		c := dial(t, path, "websocket", "13")
		if c.status != status {
			t.Errorf("%s: %d, want %d", path, c.status, status)
		}
		if c.status == http.StatusOK {
			c.echoes(t)
			if head := s.head(t); head.Get("Upgrade") != "websocket" || head["Connection"][0] != "Upgrade" || head[":protocol"] != nil {
				t.Errorf("the upstream got %v", head)
			}
		}
	}
	for _, row := range []struct {
		protocol, version string
		status            int
	}{{"websocket", "8", 400}, {"websocket", "", 400}, {"connect-udp", "13", 501}} {
		if c := dial(t, "/", row.protocol, row.version); c.status != row.status {
			t.Errorf("%s, version %q: %d, want %d", row.protocol, row.version, c.status, row.status)
		}
	}
	for _, answer := range []string{
		"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: " + sampleAccept + "\r\n",
		"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n",
	} {
		s.answers(answer)
		if c := dial(t, "/", "websocket", "13"); c.status != http.StatusBadGateway {
			t.Errorf("%q opened a stream: %d", answer, c.status)
		}
	}
}

// connected is the answer to an extended CONNECT, and its stream.
type connected struct {
	status int
	send   io.Writer
	read   *bufio.Reader
}

func (c connected) echoes(t *testing.T) {
	t.Helper()
	for _, line := range []string{"one\n", "two\n"} {
		io.WriteString(c.send, line)
		if got, err := c.read.ReadString('\n'); got != "echo "+line {
			t.Errorf("%q, %v", got, err)
		}
	}
}

type dialer func(t *testing.T, path, protocol, version string) connected

// connectRequest is an extended CONNECT whose stream looks like a form to
// whoever would wait for one.
func connectRequest(ctx context.Context, url, version string) (*http.Request, io.Writer) {
	read, write := io.Pipe()
	r, err := http.NewRequestWithContext(ctx, http.MethodConnect, url, read)
	if err != nil {
		panic(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if version != "" {
		r.Header.Set("Sec-WebSocket-Version", version)
	}
	return r, write
}

func dialled(t *testing.T, resp *http.Response, err error, send io.Writer) connected {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return connected{resp.StatusCode, send, bufio.NewReader(resp.Body)}
}

func overHTTP2(site string) dialer {
	transport := &http2.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} // Caddy's own authority
	return func(t *testing.T, path, protocol, version string) connected {
		t.Helper()
		r, send := connectRequest(t.Context(), site+path, version)
		r.Header[":protocol"] = []string{protocol}
		resp, err := transport.RoundTrip(r)
		return dialled(t, resp, err, send)
	}
}

func overHTTP3(t *testing.T, site string) dialer {
	transport := &http3.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	t.Cleanup(func() { transport.Close() })
	return func(t *testing.T, path, protocol, version string) connected {
		t.Helper()
		r, send := connectRequest(t.Context(), site+path, version)
		r.Proto = protocol
		resp, err := transport.RoundTrip(r)
		return dialled(t, resp, err, send)
	}
}

// startSecureGateway runs a site over TLS with Caddy's own authority.
func startSecureGateway(t *testing.T, site string) *rig {
	t.Helper()
	g := startGateway(t, strings.Replace(site, "tls internal", "", 1), nil)
	g.secure(site)
	return g
}

// secure loads the site over TLS, and waits for its certificate.
func (g *rig) secure(site string) {
	g.t.Helper()
	g.url = strings.Replace(g.url, "http:", "https:", 1)
	g.load(strings.Replace(testHead, "auto_https off", "skip_install_trust\n\tstorage file_system {{dir}}/caddy\n\tauto_https disable_redirects", 1) + site)
	waitFor(g.t, func() bool {
		conn, err := tls.Dial("tcp", mustParse(g.url).Host, &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			return false
		}
		return conn.Close() == nil
	})
}
