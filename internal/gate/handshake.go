package gate

import (
	"bufio"
	"crypto/rand"
	"crypto/sha1" // what RFC 6455 §1.3 asks for; nothing rests on its strength
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/stepgate/stepgate/internal/web"
)

// Handshake is a complete request for a WebSocket: the one thing that turns a
// judged request into bytes which nobody judges.
type Handshake struct {
	key string // the Sec-WebSocket-Key that the upstream gets
	// stream is what the client sends, where the handshake came as an extended
	// CONNECT (RFC 8441, RFC 9220); nil with HTTP/1.1.
	stream io.ReadCloser
}

var (
	errUnasked       = errors.New("the upstream changed the protocol, and the client had not asked for a WebSocket")
	errNotAccepted   = errors.New("the upstream changed the protocol without accepting the WebSocket (RFC 6455 §4.2.2)")
	errNoStream      = errors.New("the upstream answered a WebSocket's handshake with a page")
	errNotHijacked   = errors.New("only a WebSocket that was asked for and accepted leaves HTTP")
	errHalfOpen      = errors.New("an extended CONNECT that is no complete handshake of a WebSocket")
	errConnect       = errors.New("CONNECT is for proxies")
	errOtherProtocol = &web.Fail{Status: http.StatusNotImplemented, Err: errors.New("an extended CONNECT for something else than a WebSocket")}
)

// ReadHandshake finds a complete handshake, and leaves of everything else
// nothing that asks an upstream for another protocol. An extended CONNECT
// becomes the GET that an HTTP/1.1 upstream is sent, so that what is judged is
// what arrives. Without a complete handshake it gives nil; an error is for a
// request that cannot be answered by any upstream.
func ReadHandshake(r *http.Request) (*Handshake, error) {
	var shake *Handshake
	var err error
	switch {
	case r.Method == http.MethodConnect:
		shake, err = readConnect(r)
	case r.Header["Upgrade"] != nil && completeHandshake(r):
		shake = &Handshake{key: r.Header["Sec-Websocket-Key"][0]}
	}
	if r.ProtoMajor == 2 {
		delete(r.Header, ":protocol")
	}
	cleanProtocol(r.Header)
	if shake != nil {
		r.Header["Upgrade"], r.Header["Connection"] = []string{"websocket"}, []string{"Upgrade"}
	}
	return shake, err
}

// completeHandshake goes by RFC 6455 §4.1 and §4.2.1.
func completeHandshake(r *http.Request) bool {
	h := r.Header
	return r.Method == http.MethodGet && r.ProtoMajor == 1 && r.ProtoMinor >= 1 && r.ContentLength == 0 && len(r.TransferEncoding) == 0 &&
		isAlone(h["Upgrade"], "websocket") && httpguts.HeaderValuesContainsToken(h["Connection"], "upgrade") &&
		isAlone(h["Sec-Websocket-Version"], "13") && isKey(h["Sec-Websocket-Key"])
}

func isAlone(values []string, wanted string) bool {
	return len(values) == 1 && strings.EqualFold(values[0], wanted)
}

// isKey tells whether a key is the base64 of 16 bytes.
func isKey(values []string) bool {
	if len(values) != 1 {
		return false
	}
	key, err := base64.StdEncoding.DecodeString(values[0])
	return err == nil && len(key) == 16
}

// readConnect turns an extended CONNECT into the GET of RFC 6455. HTTP/2 has
// its protocol among the headers here, HTTP/3 in place of its version.
func readConnect(r *http.Request) (*Handshake, error) {
	protocol := ""
	switch {
	case r.ProtoMajor == 2:
		protocol = r.Header.Get(":protocol")
	case r.ProtoMajor == 3 && !strings.HasPrefix(r.Proto, "HTTP/"):
		protocol, r.Proto = r.Proto, "HTTP/3.0"
	}
	switch {
	case protocol == "":
		return nil, errConnect
	case protocol != "websocket":
		return nil, errOtherProtocol
	case !isAlone(r.Header["Sec-Websocket-Version"], "13") || r.Body == nil || r.ContentLength > 0:
		return nil, errHalfOpen
	}
	key := make([]byte, 16)
	rand.Read(key)
	shake := &Handshake{key: base64.StdEncoding.EncodeToString(key), stream: r.Body}
	r.Header["Sec-Websocket-Key"] = []string{shake.key}
	r.Method, r.Body, r.ContentLength = http.MethodGet, http.NoBody, 0
	delete(r.Header, "Content-Length")
	return shake, nil
}

// cleanProtocol removes what speaks of another protocol, and leaves of
// Connection only what speaks of the connection itself: everything else in it
// names headers to be removed behind the gateway (RFC 9110 §7.6.1).
func cleanProtocol(h http.Header) {
	delete(h, "Upgrade")
	delete(h, "Http2-Settings")
	cleanConnection(h)
}

// judge tells what is wrong with the status and header of an upstream's
// answer: a protocol that changes without being asked to, or for another one
// than was asked for. s is nil for a request that asked for none.
func (s *Handshake) judge(status int, h http.Header) error {
	switch {
	case s == nil && status == http.StatusSwitchingProtocols:
		return errUnasked
	case s == nil:
		return nil
	case status == http.StatusSwitchingProtocols && !s.accepted(h):
		return errNotAccepted
	case s.stream != nil && status >= 200 && status < 300:
		// To the client a 2xx opens the stream (RFC 8441 §5).
		return errNoStream
	default:
		return nil
	}
}

// accepted goes by RFC 6455 §4.1, what a client checks of the answer.
func (s *Handshake) accepted(h http.Header) bool {
	sum := sha1.Sum([]byte(s.key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	var accept []string
	for name, values := range h { // Caddy spells it as the RFC does, which is not Go's way
		if strings.EqualFold(name, "Sec-WebSocket-Accept") {
			accept = append(accept, values...)
		}
	}
	return isAlone(h["Upgrade"], "websocket") && httpguts.HeaderValuesContainsToken(h["Connection"], "upgrade") &&
		len(accept) == 1 && accept[0] == base64.StdEncoding.EncodeToString(sum[:])
}

// Extended tells whether the handshake came as a CONNECT.
func (s *Handshake) Extended() bool { return s != nil && s.stream != nil }

// Over gives the writer through which the answer to the handshake goes out:
// w itself, or for an extended CONNECT one that tells the client in its own
// version of HTTP that the stream is open.
func (s *Handshake) Over(w http.ResponseWriter) http.ResponseWriter {
	if !s.Extended() {
		return w
	}
	return &streamWriter{ResponseWriter: w, stream: s.stream}
}

// streamWriter turns the change of protocol of HTTP/1.1 into the answer to an
// extended CONNECT (RFC 8441 §5), and its stream into the connection.
type streamWriter struct {
	http.ResponseWriter
	stream io.ReadCloser
}

// Unwrap is for http.ResponseController.
func (w *streamWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *streamWriter) WriteHeader(status int) {
	if status == http.StatusSwitchingProtocols {
		status = http.StatusOK
		for _, name := range []string{"Upgrade", "Connection", "Sec-Websocket-Accept", "Sec-WebSocket-Accept"} {
			delete(w.Header(), name)
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

// Hijack hands over the stream. Nothing is read ahead or held back.
func (w *streamWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	controller := http.NewResponseController(w.ResponseWriter)
	if err := controller.Flush(); err != nil {
		return nil, nil, err
	}
	conn := &streamConn{ReadCloser: w.stream, w: w.ResponseWriter, ResponseController: controller}
	return conn, bufio.NewReadWriter(bufio.NewReaderSize(conn, 1), bufio.NewWriterSize(conn, 1)), nil
}

// streamConn makes a stream of HTTP/2 or HTTP/3 the connection that a proxy
// of HTTP/1.1 takes over. The proxy says goodbye on it while it still copies,
// as it may with any net.Conn; a ResponseWriter would not bear that.
type streamConn struct {
	io.ReadCloser
	*http.ResponseController
	writing sync.Mutex
	w       http.ResponseWriter
}

func (c *streamConn) Write(p []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	n, err := c.w.Write(p)
	if err != nil {
		return n, err
	}
	return n, c.Flush()
}

func (c *streamConn) SetDeadline(at time.Time) error {
	return errors.Join(c.SetReadDeadline(at), c.SetWriteDeadline(at))
}

// LocalAddr and RemoteAddr have nothing to say: a stream is one of many.
func (c *streamConn) LocalAddr() net.Addr  { return streamAddr{} }
func (c *streamConn) RemoteAddr() net.Addr { return streamAddr{} }

type streamAddr struct{}

func (streamAddr) Network() string { return "http" }
func (streamAddr) String() string  { return "stream" }

var _ net.Conn = (*streamConn)(nil)
