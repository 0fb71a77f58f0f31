package caddymodule

//lint:file-ignore SA1019 Only the packages that are to go change to HTTP/2 in the clear, and send an extended CONNECT.

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// The example of RFC 6455 §1.3.
const (
	sampleKey    = "dGhlIHNhbXBsZSBub25jZQ=="
	sampleAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
)

func acceptOf(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

const handshakeLines = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + sampleKey + "\r\n"

// switcher is an upstream that changes the protocol whatever it is asked, and
// keeps what it was sent. Its answer's header and first bytes are answer.
type switcher struct {
	addr   string
	answer atomic.Pointer[func(http.Header) string]
	heads  chan http.Header
	bytes  chan string // what came after the answer
}

func startSwitcher(t *testing.T) *switcher {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	s := &switcher{addr: l.Addr().String(), heads: make(chan http.Header, 100), bytes: make(chan string, 100)}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go s.serve(conn)
		}
	}()
	return s
}

func (s *switcher) serve(conn net.Conn) {
	defer conn.Close()
	read := bufio.NewReader(conn)
	r, err := http.ReadRequest(read)
	if err != nil {
		return
	}
	io.Copy(io.Discard, r.Body)
	s.heads <- r.Header
	io.WriteString(conn, (*s.answer.Load())(r.Header))
	for {
		line, err := read.ReadString('\n')
		if line != "" {
			s.bytes <- line
			io.WriteString(conn, "echo "+line)
		}
		if err != nil {
			return
		}
	}
}

// answers sets what the upstream answers from now on. ACCEPT stands for the
// right Sec-WebSocket-Accept.
func (s *switcher) answers(text string) {
	answer := func(h http.Header) string {
		return strings.ReplaceAll(text, "ACCEPT", acceptOf(h.Get("Sec-WebSocket-Key"))) + "\r\n"
	}
	s.answer.Store(&answer)
}

// head is the header of a request that has reached the upstream.
func (s *switcher) head(t *testing.T) http.Header {
	t.Helper()
	select {
	case head := <-s.heads:
		return head
	default:
		t.Fatal("nothing reached the upstream")
		return nil
	}
}

// rawExchange sends a request's bytes and gives the answer, and the rest of
// what comes on the connection.
func rawExchange(t *testing.T, addr, request string) (*http.Response, *bufio.Reader, net.Conn) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	io.WriteString(conn, request)
	read := bufio.NewReader(conn)
	resp, err := http.ReadResponse(read, nil)
	if err != nil {
		t.Fatalf("%q: %v", request, err)
	}
	return resp, read, conn
}
