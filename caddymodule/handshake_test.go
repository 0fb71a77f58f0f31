package caddymodule

//lint:file-ignore SA1019 Only the packages that are to go change to HTTP/2 in the clear, and send an extended CONNECT.

import (
	"bytes"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/h2c"
	"golang.org/x/net/http2/hpack"

	"github.com/stepgate/stepgate/internal/legacytest"
)

const switchingSite = `{{site}} {
	stepgate {
		policy {
			public /public/*
		}
	}
	reverse_proxy UPSTREAM
}
`

func TestOnlyACompleteHandshakeAsksForAnotherProtocol(t *testing.T) {
	s := startSwitcher(t)
	g := startGateway(t, strings.Replace(switchingSite, "UPSTREAM", s.addr, 1), nil)
	addr := mustParse(g.url).Host
	with := func(old, replaced string) string { return strings.Replace(handshakeLines, old, replaced, 1) }
	for _, row := range []struct{ name, request string }{
		{"h2c", "GET /public/x HTTP/1.1\r\nHost: HOST\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nX-Sendfile_Type: X-Accel-Redirect\r\n\r\n"},
		{"anything", "GET /public/x HTTP/1.1\r\nHost: HOST\r\nConnection: Upgrade\r\nUpgrade: foo\r\n\r\n"},
		{"TLS", "OPTIONS /public/x HTTP/1.1\r\nHost: HOST\r\nConnection: Upgrade\r\nUpgrade: TLS/1.0\r\n\r\n"},
		{"a choice", "GET /public/x HTTP/1.1\r\nHost: HOST\r\n" + with("websocket", "websocket, h2c") + "\r\n"},
		{"two lines", "GET /public/x HTTP/1.1\r\nHost: HOST\r\n" + with("Upgrade: websocket", "Upgrade: h2c\r\nUpgrade: websocket") + "\r\n"},
		{"h2c beside a WebSocket's key", "GET /public/x HTTP/1.1\r\nHost: HOST\r\n" + with("websocket", "h2c") + "\r\n"},
		{"not listed in Connection", "GET /public/x HTTP/1.1\r\nHost: HOST\r\n" + with("Connection: Upgrade", "Connection: keep-alive") + "\r\n"},
		{"no key", "GET /public/x HTTP/1.1\r\nHost: HOST\r\n" + with("Sec-WebSocket-Key", "X-Key") + "\r\n"},
		{"short key", "GET /public/x HTTP/1.1\r\nHost: HOST\r\n" + with(sampleKey, "a2V5") + "\r\n"},
		{"two keys", "GET /public/x HTTP/1.1\r\nHost: HOST\r\n" + with("Sec-WebSocket-Key", "Sec-WebSocket-Key: "+sampleKey+"\r\nSec-WebSocket-Key") + "\r\n"},
		{"old version", "GET /public/x HTTP/1.1\r\nHost: HOST\r\n" + with("13", "8") + "\r\n"},
		{"no version", "GET /public/x HTTP/1.1\r\nHost: HOST\r\n" + with("Sec-WebSocket-Version: 13\r\n", "") + "\r\n"},
		{"POST", "POST /public/x HTTP/1.1\r\nHost: HOST\r\n" + handshakeLines + "Content-Length: 0\r\n\r\n"},
		{"with a body", "GET /public/x HTTP/1.1\r\nHost: HOST\r\n" + handshakeLines + "Content-Length: 2\r\n\r\nhi"},
		{"with chunks", "GET /public/x HTTP/1.1\r\nHost: HOST\r\n" + handshakeLines + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
		{"HTTP/1.0", "GET /public/x HTTP/1.0\r\nHost: HOST\r\n" + handshakeLines + "\r\n"},
	} {
		t.Run(row.name, func(t *testing.T) {
			for answer, status := range map[string]int{
				"HTTP/1.1 204 No Content\r\nUpgrade: h2c\r\nConnection: Upgrade, close\r\n":                                         204,
				"HTTP/1.1 101 Switching Protocols\r\nSet-Cookie: of=upstream\r\n":                                                   502,
				"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n":                                       502,
				"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ACCEPT\r\n": 502,
			} {
				s.answers(answer)
				resp, _, _ := rawExchange(t, addr, strings.Replace(row.request, "HOST", addr, 1))
				if resp.StatusCode != status || resp.Header["Upgrade"] != nil || resp.Header["Set-Cookie"] != nil {
					t.Errorf("%q is answered %s %v, want %d", answer, resp.Status, resp.Header, status)
				}
				head := s.head(t)
				for _, name := range []string{"Upgrade", "Http2-Settings", "Connection", "X-Sendfile_type"} {
					if values, sent := head[name]; sent {
						t.Errorf("%s: %q reached the upstream", name, values)
					}
				}
			}
		})
	}
	if len(s.bytes) > 0 {
		t.Errorf("%q reached the upstream after its answer", <-s.bytes)
	}
}

func TestOnlyTheRightAnswerOpensAWebSocket(t *testing.T) {
	s := startSwitcher(t)
	g := startGateway(t, strings.Replace(switchingSite, "UPSTREAM", s.addr, 1), nil)
	addr := mustParse(g.url).Host
	request := "GET /public/x HTTP/1.1\r\nHost: " + addr + "\r\n" + handshakeLines + "\r\n"
	const switching = "HTTP/1.1 101 Switching Protocols\r\n"
	for _, answer := range []string{
		switching,
		switching + "Connection: Upgrade\r\nUpgrade: h2c\r\n",
		switching + "Connection: Upgrade\r\nUpgrade: websocket\r\n",
		switching + "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: " + sampleKey + "\r\n",
		switching + "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ACCEPT\r\nSec-WebSocket-Accept: ACCEPT\r\n",
		switching + "Connection: Upgrade\r\nUpgrade: foo\r\nSec-WebSocket-Accept: ACCEPT\r\n",
	} {
		s.answers(answer + "Set-Cookie: of=upstream\r\n")
		resp, read, conn := rawExchange(t, addr, request+"smuggled\n")
		if resp.StatusCode != http.StatusBadGateway || !resp.Close || resp.Header["Set-Cookie"] != nil {
			t.Errorf("%q is answered %s %v", answer, resp.Status, resp.Header)
		}
		io.Copy(io.Discard, resp.Body)
		io.WriteString(conn, "more\n")
		if rest, _ := io.ReadAll(read); len(rest) > 0 {
			t.Errorf("%q: %q came after the answer", answer, rest)
		}
	}
	if len(s.bytes) > 0 {
		t.Fatalf("%q reached the upstream after its answer", <-s.bytes)
	}
	s.answers(switching + "Connection: Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Accept: ACCEPT\r\nSec-WebSocket-Protocol: chat\r\n")
	// What comes right behind the handshake is the WebSocket's.
	resp, read, conn := rawExchange(t, addr, request+"first\n")
	if resp.StatusCode != http.StatusSwitchingProtocols || resp.Header.Get("Sec-WebSocket-Accept") != sampleAccept || resp.Header.Get("Sec-WebSocket-Protocol") != "chat" {
		t.Fatalf("%s %v", resp.Status, resp.Header)
	}
	for _, line := range []string{"first\n", "second\n"} {
		if line == "second\n" {
			io.WriteString(conn, line)
		}
		if got, err := read.ReadString('\n'); got != "echo "+line {
			t.Fatalf("%q, %v", got, err)
		}
	}
	// A page in answer to a handshake is a page, and what follows a request.
	s.answers("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\npage")
	resp, read, _ = rawExchange(t, addr, request+"GET /secret HTTP/1.1\r\nHost: "+addr+"\r\n\r\n")
	if body, _ := io.ReadAll(resp.Body); string(body) != "page" {
		t.Fatalf("%s %q", resp.Status, body)
	}
	if resp, err := http.ReadResponse(read, nil); err != nil || resp.StatusCode != http.StatusUnauthorized {
		t.Fatal(resp, err)
	}
}

func TestConnectIsRefused(t *testing.T) {
	g := startGateway(t, strings.Replace(switchingSite, "UPSTREAM", "{{upstream}}", 1), nil)
	addr := mustParse(g.url).Host
	for _, target := range []string{"/public/x", addr, "/"} {
		resp, _, _ := rawExchange(t, addr, "CONNECT "+target+" HTTP/1.1\r\nHost: "+addr+"\r\n\r\n")
		if resp.StatusCode != http.StatusBadRequest {
			t.Errorf("CONNECT %s: %s", target, resp.Status)
		}
	}
	if got := g.last(); got != nil {
		t.Errorf("%s reached the upstream", got.Line)
	}
}

// startH2C is a Go server that changes to HTTP/2 in the clear.
func startH2C(t testing.TB) *legacytest.Tree {
	tree := &legacytest.Tree{Marker: "marker of the Go server"}
	server := httptest.NewServer(h2c.NewHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/secret/marker.txt" {
			io.WriteString(w, tree.Marker)
		}
	}), &http2.Server{}))
	t.Cleanup(server.Close)
	tree.Addr = server.Listener.Addr().String()
	return tree
}

// tunnel changes a connection to HTTP/2, starting on a public path, and asks
// there for the secret. It gives what it got, and whether it got so far.
// Connection lists what a proxy may remove by itself, if it lists all.
func tunnel(t *testing.T, addr, connection string) (got string, opened bool) {
	t.Helper()
	resp, read, conn := rawExchange(t, addr, "GET /public/hello.txt HTTP/1.1\r\nHost: "+addr+
		"\r\nConnection: "+connection+"\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n")
	if resp.StatusCode != http.StatusSwitchingProtocols {
		return resp.Status, false
	}
	io.WriteString(conn, http2.ClientPreface)
	framer := http2.NewFramer(conn, read)
	framer.WriteSettings()
	var block bytes.Buffer
	encode := hpack.NewEncoder(&block)
	for _, field := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", addr}, {":path", "/secret/marker.txt"}} {
		encode.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]})
	}
	framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true})
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			return got, true
		}
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			if !frame.IsAck() {
				framer.WriteSettingsAck()
			}
		case *http2.DataFrame:
			if frame.StreamID == 3 {
				if got += string(frame.Data()); frame.StreamEnded() {
					return got, true
				}
			}
		}
	}
}

// TestNoServersUpgradeIsATunnel asks real servers for HTTP/2 on a public path,
// without the gate and through it.
func TestNoServersUpgradeIsATunnel(t *testing.T) {
	for name, start := range map[string]func(testing.TB) *legacytest.Tree{
		"apache": legacytest.StartApache, "tomcat": legacytest.StartTomcat, "go": startH2C,
	} {
		t.Run(name, func(t *testing.T) {
			const listed, unlisted = "Upgrade, HTTP2-Settings", "Upgrade"
			tree := start(t)
			g := startGateway(t, strings.Replace(switchingSite, "UPSTREAM", tree.Addr, 1), nil)
			waitFor(t, func() bool { // else this shows nothing; a server that has just started may drop one
				got, opened := tunnel(t, tree.Addr, listed)
				return opened && strings.Contains(got, tree.Marker)
			})
			for _, connection := range []string{listed, unlisted} {
				if got, opened := tunnel(t, mustParse(g.url).Host, connection); opened || !strings.HasPrefix(got, "200") {
					t.Errorf("the gate: tunnel %t, %q", opened, got)
				}
			}
		})
	}
}

// TestNoUpgradeOverHTTP2 asks for another protocol where there is none to ask
// for (RFC 9113 §8.2.2), with a client that sends it all the same.
func TestNoUpgradeOverHTTP2(t *testing.T) {
	tree := startH2C(t)
	site := strings.NewReplacer("UPSTREAM", tree.Addr, "{\n\tstepgate", "{\n\ttls internal\n\tstepgate").Replace(switchingSite)
	addr := mustParse(startSecureGateway(t, site).url).Host
	for name, fields := range map[string][][2]string{
		"h2c":     {{"connection", "Upgrade, HTTP2-Settings"}, {"upgrade", "h2c"}, {"http2-settings", "AAMAAABkAAQAAP__"}},
		"alone":   {{"upgrade", "h2c"}, {"http2-settings", "AAMAAABkAAQAAP__"}},
		"setting": {{"http2-settings", "AAMAAABkAAQAAP__"}},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(patience))
			io.WriteString(conn, http2.ClientPreface)
			framer := http2.NewFramer(conn, conn)
			framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
			framer.WriteSettings()
			var block bytes.Buffer
			encode := hpack.NewEncoder(&block)
			ask := func(stream uint32, path string, more [][2]string, last bool) {
				block.Reset()
				for _, field := range append([][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", addr}, {":path", path}}, more...) {
					encode.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]})
				}
				framer.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block.Bytes(), EndStream: last, EndHeaders: true})
			}
			ask(1, "/public/hello.txt", fields, false)
			framer.WriteData(1, true, []byte(http2.ClientPreface)) // what a tunnel would carry
			ask(3, "/secret/marker.txt", nil, true)
			statuses := map[uint32]string{}
			for statuses[1] == "" || statuses[3] == "" {
				frame, err := framer.ReadFrame()
				if err != nil {
					t.Fatalf("%v, %v", statuses, err)
				}
				switch frame := frame.(type) {
				case *http2.SettingsFrame:
					if !frame.IsAck() {
						framer.WriteSettingsAck()
					}
				case *http2.MetaHeadersFrame:
					statuses[frame.StreamID] = frame.PseudoValue("status")
				case *http2.RSTStreamFrame:
					if statuses[frame.StreamID] == "" {
						statuses[frame.StreamID] = frame.ErrCode.String()
					}
				case *http2.DataFrame:
					if strings.Contains(string(frame.Data()), tree.Marker) {
						t.Error("the secret came through")
					}
				}
			}
			if refused := statuses[1] == "400" || statuses[1] == "PROTOCOL_ERROR"; statuses[3] != "401" || !refused && (name != "setting" || statuses[1] != "200") {
				t.Errorf("%v", statuses)
			}
		})
	}
}
