package gate

import (
	"bufio"
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync/atomic"

	"github.com/stepgate/stepgate/internal/inject"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/watched"
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
// delays, but for the header of a page, which waits for the first bytes of its
// body or for a flush: flushing, streaming and accepted WebSockets pass
// through. One request has one, from Begin to End; it is not used again.
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

	weld  *watched.Answer  // nil where no login of the app is watched
	leave *watched.Leaving // set where this is the app's sign-out
	// going answers somebody who was going elsewhere when the app's login came
	// between; nil for others.
	going func(http.ResponseWriter)
	// asking is set where an app that asks by itself is to ask nobody's
	// browser.
	asking *asking
	ours   []string // cookies that the gateway adds

	room     [roomFor]string // values of the request's header
	private  [1]string       // of the answer's Cache-Control
	body     inject.Body     // where the script is being added
	status   int             // of the header that is under way, as far as the steps are
	sent     bool
	parked   http.Header            // the header of a page, until the length is known that the script gives it
	opened   bool                   // a WebSocket that was asked for and accepted
	waiting  *waitingAnswer         // set while nothing goes out yet
	bodiless bool                   // the app's body is not shown
	ended    atomic.Bool            // nothing more is written
	socket   atomic.Pointer[socket] // of a WebSocket that may have to end
	supervision
}

// waitingAnswer is an answer that waits for the app to be asked who it is.
type waitingAnswer struct {
	header http.Header
	body   watched.Spool
	next   int // the step that it goes on with
}

// Unwrap is for http.ResponseController.
func (a *Answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// Sent tells whether a header has gone out that is the last word.
func (a *Answer) Sent() bool { return a.sent }

// WriteHeader does the steps, and sends the header unless one of them keeps it.
func (a *Answer) WriteHeader(status int) {
	switch {
	case a.ended.Load(), a.waiting != nil:
		return
	case a.sent:
		a.showHeader()
		if !a.bodiless {
			a.ResponseWriter.WriteHeader(status) // which says that it is superfluous
		}
		return
	}
	h := a.ResponseWriter.Header()
	if err := a.Handshake.judge(status, h); err != nil {
		a.refuse(err)
		return
	}
	a.status = status
	a.opened = status == http.StatusSwitchingProtocols
	a.sent = a.opened || status >= 200
	a.send(0, h)
}

// send does the steps from one on.
func (a *Answer) send(from int, h http.Header) {
	for i := from; i < len(headerSteps); i++ {
		if headerSteps[i].final && !a.sent {
			continue
		}
		switch headerSteps[i].do(a, h) {
		case waits:
			a.waiting = &waitingAnswer{header: h.Clone(), next: i + 1}
			return
		case stays:
			a.opened = false
			return
		}
	}
	if a.Page != nil {
		if _, soon := a.Page.Length(); soon && a.sent {
			a.parked = h.Clone() // what is said after this is not of the header
			return
		}
		a.count(h)
	}
	a.ResponseWriter.WriteHeader(a.status)
}

// count says how long a page has become, if that is known.
func (a *Answer) count(h http.Header) {
	if n, _ := a.Page.Length(); n >= 0 {
		h["Content-Length"] = []string{strconv.FormatInt(n, 10)}
	}
}

// showHeader sends a header that has been parked.
func (a *Answer) showHeader() {
	if a.parked == nil {
		return
	}
	h, was := a.ResponseWriter.Header(), a.parked
	a.parked = nil
	late := putBack(h, was)
	a.count(h)
	a.ResponseWriter.WriteHeader(a.status)
	maps.Copy(h, late)
}

// putBack has h be as it was. It returns what was said in it since: trailers,
// where the answer has any.
func putBack(h, was http.Header) (late http.Header) {
	for name, values := range h {
		if !slices.Equal(values, was[name]) {
			if late == nil {
				late = http.Header{}
			}
			late[name] = values
		}
	}
	clear(h)
	maps.Copy(h, was)
	return late
}

// beyond is where a body goes behind what adds the script.
type beyond struct{ a *Answer }

func (b beyond) Write(p []byte) (int, error) {
	if b.a.ended.Load() {
		return 0, errEnded
	}
	return b.a.write(p)
}

// replace answers in place of the app: nothing more of its answer goes out.
func (a *Answer) replace(with func(http.ResponseWriter)) fate {
	a.forget()
	a.sent, a.bodiless = true, true
	with(a.ResponseWriter)
	return stays
}

// forget drops an answer that has waited.
func (a *Answer) forget() {
	if a.waiting != nil {
		a.waiting.body.Close()
		a.waiting = nil
	}
}

// release sends the answer that has waited, and its trailers after it.
func (a *Answer) release() {
	waited, header := a.waiting, a.ResponseWriter.Header()
	a.waiting = nil
	late := putBack(header, waited.header)
	a.send(waited.next, header)
	waited.body.WriteTo(beyond{a})
	waited.body.Close()
	maps.Copy(header, late)
}

// Settle is called when the app has answered, with its error: an answer that
// waits goes out, or another in its place.
func (a *Answer) Settle(err error) {
	a.endBody()
	if a.weld == nil {
		return
	}
	waits := a.waiting != nil
	switch why := a.weld.Settle(err, waits); {
	case !waits:
	case why != nil:
		a.replace(a.weld.Refusal(why))
	default:
		a.release()
	}
}

// refuse answers in place of an upstream that changed the protocol by itself.
// Nothing of its answer goes out, and the connection is not used again.
func (a *Answer) refuse(err error) {
	a.sent = true
	a.ended.Store(true)
	h := a.ResponseWriter.Header()
	clear(h)
	if a.ours != nil {
		h["Set-Cookie"] = a.ours
	}
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
	conn, rw, err := http.NewResponseController(a.ResponseWriter).Hijack()
	if err != nil || a.stop == nil {
		return conn, rw, err
	}
	s := &socket{Conn: conn}
	a.socket.Store(s)
	return s, rw, nil
}

// errEnded is what the upstream's answer meets once its session is gone, or
// another answer stands in its place.
var errEnded = errors.New("this answer has ended")

// Write sends the header first, where that has not been done.
func (a *Answer) Write(p []byte) (int, error) {
	if a.ended.Load() {
		return 0, errEnded
	}
	a.implicit()
	if a.body != nil {
		return a.body.Write(p)
	}
	return a.write(p)
}

// write is what becomes of a body, once the script has been added.
func (a *Answer) write(p []byte) (int, error) {
	switch {
	case a.bodiless:
		return len(p), nil
	case a.waiting == nil:
		a.showHeader()
		return a.ResponseWriter.Write(p)
	}
	if n, err := a.waiting.body.Write(p); err == nil {
		return n, nil
	}
	// It is too long to wait for its end.
	if why := a.weld.Agree(); why != nil {
		a.replace(a.weld.Refusal(why))
	} else {
		a.release()
	}
	return a.write(p)
}

// ReadFrom lets a whole file or connection be sent without copying where the
// writer below can.
func (a *Answer) ReadFrom(r io.Reader) (int64, error) {
	if a.ended.Load() {
		return 0, errEnded
	}
	a.implicit()
	if a.body != nil || a.bodiless || a.waiting != nil || EventStream(a.ResponseWriter.Header().Get("Content-Type")) {
		return io.Copy(onlyWriter{a}, r) // every piece passes Write
	}
	if below, ok := a.ResponseWriter.(io.ReaderFrom); ok {
		return below.ReadFrom(r)
	}
	return io.Copy(a.ResponseWriter, r)
}

// onlyWriter hides ReadFrom.
type onlyWriter struct{ io.Writer }

// FlushError sends the header too. It has nothing to do for an answer that
// waits.
func (a *Answer) FlushError() error {
	if a.ended.Load() {
		return errEnded
	}
	a.implicit()
	if a.body != nil {
		if err := a.body.Flush(); err != nil {
			return err
		}
	}
	if a.bodiless || a.waiting != nil {
		return nil
	}
	a.showHeader()
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
