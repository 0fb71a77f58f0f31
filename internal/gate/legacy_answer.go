package gate

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/signin/legacyform"
	"github.com/stepgate/stepgate/internal/web"
	"github.com/stepgate/stepgate/internal/weld"
	"github.com/stepgate/stepgate/policy"
)

// maxWaiting is how much of an answer waits for the app to be asked who it
// is, in bytes.
const maxWaiting = 8 << 20

// welder sees the app's answer: session cookies that it sets are remembered
// for the session, and a person who comes back from the login page is sent on
// to where they were going. Where the request may have made the app take the
// session's cookie for somebody else, the app is asked, and the session ends
// if it does not say that it is the same person still.
type welder struct {
	writerWrapper
	handler *Handler
	live    *Live
	request *http.Request
	visitor visitor
	bonds   *weld.Bonds
	cookies string // the Cookie line that the app gets
	after   string // the same after its answer
	next    Next
	// turn is nil where nothing is at stake and nothing changes: no session,
	// no cookie of its own, an app that cannot be asked.
	turn    *weld.Turn
	changes bool // the request may change the person
	stake   bool // its path needs more than a password gives
	strange bool // the app may have been shown a session that is nobody's here
	asks    bool // the app can be asked about a cookie of the session's
	waiting *waitingAnswer
	settled bool // the app was asked, or need not be
	done    bool // the header is sent
	swapped bool // the app's page is not shown
}

// waitingAnswer is an answer that does not go out yet.
type waitingAnswer struct {
	status int
	header http.Header
	body   bytes.Buffer
}

func (h *Handler) newWelder(w http.ResponseWriter, r *http.Request, live *Live, v visitor, bonds *weld.Bonds) *welder {
	o := &welder{handler: h, live: live, request: r, visitor: v, bonds: bonds}
	o.ResponseWriter = w
	if len(r.Header["Cookie"]) == 1 {
		o.cookies = r.Header["Cookie"][0]
	}
	return o
}

// queue waits for the request's turn among those of its session. The error is
// for a page.
func (o *welder) queue(d policy.Decision) error {
	o.asks = true
	o.changes = !safeMethod(o.request.Method) || claimsMethod(o.request.Header)
	o.stake = d.Needed&^o.live.password != 0
	if !o.changes && !o.stake {
		return nil
	}
	take := o.live.Turns.Use
	if o.changes {
		take = o.live.Turns.Change
	}
	turn, err := take(o.request.Context(), o.visitor.id())
	if err != nil {
		return waitedInVain(err)
	}
	o.turn = turn
	return nil
}

// waitedInVain is what a person reads whose request did not get its turn.
func waitedInVain(err error) error {
	if errors.Is(err, weld.ErrEnded) {
		return &web.Fail{Status: http.StatusForbidden, Title: "fail.changed.title", Advice: "fail.changed.advice", Err: err}
	}
	return &web.Fail{
		Status: http.StatusServiceUnavailable, Title: "fail.busy.title", Advice: "fail.busy.advice", RetryAfter: weld.Patience / 2, Err: err,
	}
}

func safeMethod(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions || method == http.MethodTrace
}

func claimsMethod(h http.Header) bool {
	for name := range h {
		if MethodOverrides.Has(name) {
			return true
		}
	}
	return false
}

// same asks the app whether the session's cookie is the same person's still.
// Nil says that it is.
func (o *welder) same() error {
	who, err := o.handler.Form.Who(context.WithoutCancel(o.request.Context()), o.handler.asker(o.request, o.next), o.after)
	if err == nil && !o.handler.isVisitor(context.WithoutCancel(o.request.Context()), o.live, o.visitor, who) {
		return errForeign
	}
	return err
}

// settle ends the request's turn. It is called when the app has answered,
// with its error, or has given up; then nothing is sent any more.
func (o *welder) settle(err error, gaveUp bool) error {
	if o.turn == nil {
		return err
	}
	defer o.turn.Done()
	if o.settled || !o.changes && o.waiting == nil {
		return err
	}
	o.settled = true
	if o.after == "" {
		o.after = o.cookies
	}
	if neverSent(err) || o.live.Turns.Ended(o.visitor.id()) {
		return err
	}
	if why := o.same(); why != nil {
		o.end(why)
		if o.waiting != nil && !gaveUp {
			o.refuse(why)
		}
		return err
	}
	if o.waiting != nil && !gaveUp {
		o.release()
	}
	return err
}

// finish is settle for a request whose handler has panicked, as a proxy does
// when the app breaks off.
func (o *welder) finish() {
	o.settle(nil, true)
}

// neverSent tells whether a request failed before the app had any of it.
func neverSent(err error) bool {
	op := (*net.OpError)(nil)
	return errors.As(err, &op) && op.Op == "dial"
}

// end ends the session: what the app takes its cookie for cannot be said to
// be its person.
func (o *welder) end(why error) {
	h, row, ctx := o.handler, o.visitor.entry.Session, context.WithoutCancel(o.request.Context())
	o.live.Turns.End(row.ID, row.EndsAt, o.live.now())
	e := h.event(o.request, audit.WeldRefused, o.visitor)
	e.Outcome, e.Reason = "refused", "person-changed"
	switch {
	case errors.Is(why, legacyform.ErrNobody):
		e.Name, e.Outcome, e.Reason = audit.SessionLogout, "", "nobody-in-app"
	case !errors.Is(why, errForeign):
		e.Reason = "person-unknown"
		h.Log.Error("ask the app who somebody is", zap.Error(why))
	}
	if err := errors.Join(o.live.Sessions.EndID(ctx, row.ID), o.live.Recorder.Record(ctx, e)); err != nil {
		h.Log.Error("end a session whose cookie is somebody else's", zap.Error(err))
	}
}

// refuse answers in place of the app.
func (o *welder) refuse(why error) {
	clear(o.Header())
	o.live.Ceremonies.Place.ClearCookie(o.ResponseWriter)
	o.done, o.swapped = true, true
	o.handler.fail(o.ResponseWriter, o.request, waitedInVain(errors.Join(weld.ErrEnded, why)))
}

// release sends the answer that has waited.
func (o *welder) release() {
	a := o.waiting
	o.waiting = nil
	header := o.Header()
	last := header.Clone() // with the trailers
	clear(header)
	maps.Copy(header, a.header)
	o.commit(a.status)
	o.Write(a.body.Bytes())
	for name, values := range last {
		if !slices.Equal(values, a.header[name]) {
			header[name] = values
		}
	}
}

func (o *welder) WriteHeader(status int) {
	switch {
	case o.swapped || o.waiting != nil:
		return
	case status < 200 && status != http.StatusSwitchingProtocols:
		if !o.changes {
			delete(o.Header(), "Set-Cookie") // no browser takes one from there
			o.ResponseWriter.WriteHeader(status)
		}
		return
	case !o.done && o.live != nil:
		if err := o.handler.regiven(o.request.Context(), o.live, o.visitor, o.Header()); err != nil {
			o.handler.Log.Error("end sessions whose cookie the app has given again", zap.Error(err))
		}
	}
	if o.done || o.visitor.entry == nil {
		o.done = true
		o.ResponseWriter.WriteHeader(status)
		return
	}
	header := o.Header()
	if o.turn != nil && (o.changes || o.turn.Doubtful()) {
		o.after = weld.After(o.cookies, header, o.live.now())
		if !streams(status, header) {
			if o.stake {
				o.waiting = &waitingAnswer{status: status, header: header.Clone()}
				return
			}
		} else if !o.agree() {
			return
		}
	} else if o.turn != nil {
		o.turn.Done()
	}
	if o.asks && !o.changes && redirects(status) {
		// A link by which somebody signs in ends so.
		o.after = weld.After(o.cookies, header, o.live.now())
		if why := o.same(); errors.Is(why, errForeign) {
			o.end(why)
			o.refuse(why)
			return
		}
	}
	o.commit(status)
}

// agree asks the app at once, and tells whether the answer may go out.
func (o *welder) agree() bool {
	o.settled = true
	defer o.turn.Done()
	why := o.same()
	if why == nil {
		return true
	}
	o.end(why)
	o.refuse(why)
	return false
}

// streams tells whether an answer goes on for as long as it likes.
func streams(status int, h http.Header) bool {
	kind := strings.ToLower(h.Get("Content-Type"))
	return status == http.StatusSwitchingProtocols || EventStream(kind) || strings.HasPrefix(kind, "application/grpc")
}

func redirects(status int) bool {
	return status >= 300 && status < 400 && status != http.StatusNotModified
}

// commit sends the header.
func (o *welder) commit(status int) {
	o.done = true
	header := o.Header()
	if who, err := o.handler.Form.Named(status, header); err == nil && !o.handler.isVisitor(context.WithoutCancel(o.request.Context()), o.live, o.visitor, who) {
		o.end(errForeign)
		o.refuse(errForeign)
		return
	}
	if header["Set-Cookie"] != nil {
		o.issued(status, header)
	}
	if o.visitor.going != nil && status == http.StatusOK && landing(o.request) && strings.HasPrefix(strings.ToLower(header.Get("Content-Type")), "text/html") {
		o.swap(header)
		return
	}
	o.ResponseWriter.WriteHeader(status)
}

// swap sends the person on in place of the page on which the app's sign-in
// ended.
func (o *welder) swap(header http.Header) {
	for name := range header {
		if strings.HasPrefix(name, "Content-") || name == "Etag" || name == "Last-Modified" || name == "Cache-Control" || name == "Expires" {
			delete(header, name)
		}
	}
	o.swapped = true
	o.handler.resume(o.ResponseWriter, o.request, o.live, o.visitor)
}

func (o *welder) Write(p []byte) (int, error) {
	if !o.done && o.waiting == nil {
		o.WriteHeader(http.StatusOK)
	}
	switch {
	case o.swapped:
		return len(p), nil
	case o.waiting == nil:
		return o.ResponseWriter.Write(p)
	case o.waiting.body.Len()+len(p) <= maxWaiting:
		return o.waiting.body.Write(p)
	}
	if o.agree() {
		o.release()
	}
	return o.Write(p)
}

// FlushError has nothing to do for an answer that waits.
func (o *welder) FlushError() error {
	if o.waiting != nil || o.swapped {
		return nil
	}
	return http.NewResponseController(o.ResponseWriter).Flush()
}

// ReadFrom goes round Write in the embedded wrapper, so it is here as well.
func (o *welder) ReadFrom(r io.Reader) (int64, error) {
	if !o.done {
		o.WriteHeader(http.StatusOK)
	}
	if o.swapped || o.waiting != nil {
		return io.Copy(onlyWriter{o}, r)
	}
	return o.writerWrapper.ReadFrom(r)
}

// writerWrapper is a writer around another, with what the one below can do.
type writerWrapper struct{ http.ResponseWriter }

// Unwrap is for http.ResponseController.
func (w *writerWrapper) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// ReadFrom lets a whole file or connection be sent without copying where the
// writer below can.
func (w *writerWrapper) ReadFrom(r io.Reader) (int64, error) {
	if below, ok := w.ResponseWriter.(io.ReaderFrom); ok {
		return below.ReadFrom(r)
	}
	return io.Copy(w.ResponseWriter, r)
}

// Push implements http.Pusher where the writer below does.
func (w *writerWrapper) Push(target string, o *http.PushOptions) error {
	if pusher, ok := w.ResponseWriter.(http.Pusher); ok {
		return pusher.Push(target, o)
	}
	return http.ErrNotSupported
}
