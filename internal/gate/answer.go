package gate

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/stepgate/stepgate/internal/inject"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/web"
	"github.com/stepgate/stepgate/policy"
)

// Site is what an answer asks of the site that it goes out from.
type Site interface {
	// StillMeets tells whether a session lives and meets what a stream of it
	// was opened with. It is asked about once a second of every open stream.
	StillMeets(ctx context.Context, e *session.Entry, needed policy.LevelSet) bool
	// Fail answers a request with an error, and writes it down.
	Fail(w http.ResponseWriter, r *http.Request, err error)
}

// Answer stands between the upstream's answer and the browser and corrects
// its header once, at the moment when it is sent. It neither buffers nor
// delays: flushing, streaming and accepted WebSockets pass through. One
// request has one, from Begin to End; it is not used again.
type Answer struct {
	http.ResponseWriter
	Site      Site
	Request   *http.Request
	Handshake *Handshake     // nil where no WebSocket was asked for
	Entry     *session.Entry // nil for nobody
	// Needed are the levels that a stream of this answer must go on to meet.
	Needed  policy.LevelSet
	Private bool // of a path that is not public
	// Page adds the gateway's script to what a browser shows; nil adds none.
	Page *inject.Page

	sent   bool
	body   inject.Body // where the script is being added
	opened bool        // a WebSocket that was asked for and accepted
	ended  atomic.Bool // nothing more is written
	supervision
}

// headerSteps is what becomes of the header of an upstream's answer, in this
// order. Each step has the header as the one before left it. Steps that are
// not marked final see answers of the 1xx kind too, which are not the last
// word.
var headerSteps = [...]struct {
	name  string
	final bool
	do    func(a *Answer, status int, h http.Header)
}{
	{"protocol", false, (*Answer).keepProtocol}, // what only the connection may say
	{"words", false, (*Answer).keepOwnWords},    // what only the gateway may say
	{"cookies", false, (*Answer).keepOwnCookies},
	{"cache", true, (*Answer).keepPrivate},
	{"script", true, (*Answer).addScript},
	{"stream", true, (*Answer).superviseStream}, // by the content's type, which no step changes
}

// Unwrap is for http.ResponseController.
func (a *Answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// Sent tells whether a header has gone out that is the last word.
func (a *Answer) Sent() bool { return a.sent }

func (a *Answer) WriteHeader(status int) {
	if a.ended.Load() {
		return
	}
	if !a.sent {
		h := a.ResponseWriter.Header()
		if err := a.Handshake.judge(status, h); err != nil {
			a.refuse(err)
			return
		}
		a.correct(status, h)
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *Answer) correct(status int, h http.Header) {
	a.opened = status == http.StatusSwitchingProtocols
	a.sent = a.opened || status >= 200
	for i := range headerSteps {
		if step := &headerSteps[i]; a.sent || !step.final {
			step.do(a, status, h)
		}
	}
}

// keepProtocol leaves a change of protocol only to a WebSocket's answer.
func (a *Answer) keepProtocol(_ int, h http.Header) {
	if a.opened {
		delete(h, "Content-Length")
		delete(h, "Transfer-Encoding")
		return
	}
	cleanProtocol(h)
}

func (a *Answer) keepOwnWords(_ int, h http.Header) {
	delete(h, "Service-Worker-Allowed")
	if challenges, ok := h["Www-Authenticate"]; ok {
		keepStrings(h, "Www-Authenticate", challenges, func(c string) bool {
			return !challengesAsStepgate(c)
		})
	}
}

func (a *Answer) keepOwnCookies(_ int, h http.Header) {
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

func (a *Answer) keepPrivate(_ int, h http.Header) {
	if a.Private && h["Cache-Control"] == nil && h["Expires"] == nil && h["Pragma"] == nil {
		// A browser that may guess how long it keeps an answer (RFC 9111
		// §4.2.2) would show it after its session has ended.
		h["Cache-Control"] = []string{"private, no-cache"}
	}
}

// addScript has the body go through what adds the script, where it is a page
// that a browser will show.
func (a *Answer) addScript(status int, h http.Header) {
	if a.Page != nil && a.Page.Prepare(status, h) {
		a.body = a.Page.Body(a.ResponseWriter)
	}
}

// CorrectHeader takes away what only the gateway may say, from an answer that
// goes out by another way.
func CorrectHeader(h http.Header) {
	var a Answer
	a.keepOwnWords(0, h)
	a.keepOwnCookies(0, h)
}

// refuse answers in place of an upstream that changed the protocol by itself.
// Nothing of its answer goes out, and the connection is not used again.
func (a *Answer) refuse(err error) {
	a.sent = true
	a.ended.Store(true)
	h := a.ResponseWriter.Header()
	clear(h)
	if a.Request.ProtoMajor == 1 {
		h["Connection"] = []string{"close"}
	}
	a.Site.Fail(a.ResponseWriter, a.Request, &web.Fail{Status: http.StatusBadGateway, Err: err})
}

// RefuseSwitch is for an upstream that has answered with a change of protocol
// of which the proxy has passed nothing on.
func (a *Answer) RefuseSwitch() { a.refuse(errUnasked) }

// Hijack hands over the connection of a WebSocket that the upstream accepted,
// and of nothing else.
func (a *Answer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if !a.opened {
		return nil, nil, errNotHijacked
	}
	return http.NewResponseController(a.ResponseWriter).Hijack()
}

// errEnded is what the upstream's answer meets once its session is gone, or
// another answer stands in its place.
var errEnded = errors.New("this answer has ended")

func (a *Answer) Write(p []byte) (int, error) {
	if a.ended.Load() {
		return 0, errEnded
	}
	a.implicit()
	if a.body != nil {
		return a.body.Write(p)
	}
	return a.ResponseWriter.Write(p)
}

// ReadFrom lets a whole file or connection be sent without copying where the
// writer below can.
func (a *Answer) ReadFrom(r io.Reader) (int64, error) {
	if a.ended.Load() {
		return 0, errEnded
	}
	a.implicit()
	if a.body != nil || EventStream(a.ResponseWriter.Header().Get("Content-Type")) {
		return io.Copy(onlyWriter{a}, r) // every piece passes Write
	}
	if below, ok := a.ResponseWriter.(io.ReaderFrom); ok {
		return below.ReadFrom(r)
	}
	return io.Copy(a.ResponseWriter, r)
}

// onlyWriter hides ReadFrom.
type onlyWriter struct{ io.Writer }

// FlushError sends the header too.
func (a *Answer) FlushError() error {
	a.implicit()
	if a.body != nil {
		if err := a.body.Flush(); err != nil {
			return err
		}
	}
	return http.NewResponseController(a.ResponseWriter).Flush()
}

// Push implements http.Pusher where the writer below does.
func (a *Answer) Push(target string, o *http.PushOptions) error {
	if pusher, ok := a.ResponseWriter.(http.Pusher); ok {
		return pusher.Push(target, o)
	}
	return http.ErrNotSupported
}

func (a *Answer) implicit() {
	if !a.sent {
		a.WriteHeader(http.StatusOK)
	}
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
