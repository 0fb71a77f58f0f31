package caddymodule

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/web"
	"github.com/stepgate/stepgate/policy"
)

// outgoing stands between the upstream's answer and the browser and corrects
// its header once, at the moment when it is sent. It neither buffers nor
// delays: flushing, hijacking and streaming pass through.
type outgoing struct {
	caddyhttp.ResponseWriterWrapper
	handler *Handler
	request *http.Request
	shake   *handshake // nil where no WebSocket was asked for
	visitor visitor
	// needed are the levels that a stream of this answer must go on to meet.
	needed  policy.LevelSet
	private bool // of a path that is not public
	sent    bool
	opened  bool        // a WebSocket that was asked for and accepted
	ended   atomic.Bool // nothing more is written
	release func()      // ends the supervision of a stream, nil without one
}

func (o *outgoing) WriteHeader(status int) {
	if o.ended.Load() {
		return
	}
	if !o.sent {
		if err := o.shake.judge(status, o.ResponseWriter.Header()); err != nil {
			o.refuse(err)
			return
		}
		status = o.correct(status)
	}
	o.ResponseWriter.WriteHeader(status)
}

// refuse answers in place of an upstream that changed the protocol by itself.
// Nothing of its answer goes out, and the connection is not used again.
func (o *outgoing) refuse(err error) {
	o.sent = true
	o.ended.Store(true)
	h := o.ResponseWriter.Header()
	clear(h)
	if o.request.ProtoMajor == 1 {
		h["Connection"] = []string{"close"}
	}
	o.handler.fail(o.ResponseWriter, o.request, &web.Fail{Status: http.StatusBadGateway, Err: err})
}

// Hijack hands over the connection of a WebSocket that the upstream accepted,
// and of nothing else.
func (o *outgoing) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if !o.opened {
		return nil, nil, errNotHijacked
	}
	return o.shake.hijack(o.ResponseWriter)
}

func (o *outgoing) Write(p []byte) (int, error) {
	if o.ended.Load() {
		return 0, errEnded
	}
	o.implicit()
	return o.ResponseWriter.Write(p)
}

// ReadFrom goes round Write in the embedded wrapper, so it is here as well.
func (o *outgoing) ReadFrom(r io.Reader) (int64, error) {
	if o.ended.Load() {
		return 0, errEnded
	}
	o.implicit()
	if eventStream(o.ResponseWriter.Header().Get("Content-Type")) {
		return io.Copy(onlyWriter{o}, r)
	}
	return o.ResponseWriterWrapper.ReadFrom(r)
}

// onlyWriter hides ReadFrom, so that every piece passes Write.
type onlyWriter struct{ io.Writer }

// errEnded is what the upstream's answer meets once its session is gone, or
// another answer stands in its place.
var errEnded = errors.New("this answer has ended")

// cut ends an answer that is under way: nothing more is written, and where
// the connection is the answer's own it is given up.
func (o *outgoing) cut() {
	o.ended.Store(true)
	// A deadline that has passed wakes HTTP/1's reader, which cancels the
	// request; HTTP/2 resets the stream for one of writing. Where neither is
	// known the next write fails.
	controller := http.NewResponseController(o.ResponseWriter)
	_ = controller.SetReadDeadline(time.Unix(1, 0))
	_ = controller.SetWriteDeadline(time.Unix(1, 0))
}

// FlushError sends the header too.
func (o *outgoing) FlushError() error {
	o.implicit()
	return http.NewResponseController(o.ResponseWriter).Flush()
}

func (o *outgoing) implicit() {
	if !o.sent {
		o.WriteHeader(http.StatusOK)
	}
}

// correct takes away what only the gateway may say. Answers of the 1xx kind
// are corrected too, but are not the last word. It gives the status to send.
func (o *outgoing) correct(status int) int {
	h := o.ResponseWriter.Header()
	correctHeader(h)
	switch {
	case status == http.StatusSwitchingProtocols:
		o.opened = true
		status = o.shake.open(h)
	case status < 200:
		cleanProtocol(h)
		return status
	default:
		cleanProtocol(h)
	}
	o.sent = true
	if o.private && h["Cache-Control"] == nil && h["Expires"] == nil && h["Pragma"] == nil {
		// A browser that may guess how long it keeps an answer (RFC 9111
		// §4.2.2) would show it after its session has ended.
		h["Cache-Control"] = []string{"private, no-cache"}
	}
	o.superviseAnswer(h)
	return status
}

func correctHeader(h http.Header) {
	delete(h, "Service-Worker-Allowed")
	if challenges, ok := h["Www-Authenticate"]; ok {
		keepStrings(h, "Www-Authenticate", challenges, func(c string) bool {
			return !challengesAsStepgate(c)
		})
	}
	if cookies, ok := h["Set-Cookie"]; ok {
		keepStrings(h, "Set-Cookie", cookies, func(c string) bool {
			return !session.Reserved(cookieName(c))
		})
	}
}

// cookieName is the name under which a browser sends back what a Set-Cookie
// line gives it: it leaves out an empty name, and the "=" behind it.
func cookieName(line string) string {
	name, rest, valued := strings.Cut(line, "=")
	for valued && strings.TrimSpace(name) == "" {
		name, rest, valued = strings.Cut(rest, "=")
	}
	return strings.TrimSpace(name)
}

// challengesAsStepgate finds the gateway's scheme in a list of challenges
// (RFC 9110 §11.6.1), wherever it stands in it, but not inside a quoted value.
func challengesAsStepgate(list string) bool {
	quoted, begin := false, true
	for i := 0; i < len(list); i++ {
		switch c := list[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == ',':
			begin = true
		case c == ' ' || c == '\t':
		case begin:
			begin = false
			scheme, _, _ := strings.Cut(list[i:], " ")
			scheme, _, _ = strings.Cut(scheme, ",")
			if strings.EqualFold(strings.TrimSpace(scheme), "Stepgate") {
				return true
			}
		}
	}
	return false
}

// keepStrings drops the values that keep refuses. A header that the upstream
// sent with none refused stays as it is.
func keepStrings(h http.Header, name string, values []string, keep func(string) bool) {
	var kept []string
	for i, v := range values {
		switch {
		case keep(v):
			if kept != nil {
				kept = append(kept, v)
			}
		case kept == nil:
			kept = append(make([]string, 0, len(values)), values[:i]...)
		}
	}
	switch {
	case kept == nil:
	case len(kept) == 0:
		delete(h, name)
	default:
		h[name] = kept
	}
}
