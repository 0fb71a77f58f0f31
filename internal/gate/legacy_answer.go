package gate

import (
	"context"
	"errors"
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

// welder looks at the app's answer: session cookies that it sets are remembered
// for the session, and a person who comes back from the login page is sent on
// to where they were going. Where the request may have made the app take the
// session's cookie for somebody else, the app is asked, and the session ends
// if it does not say that it is the same person still.
type welder struct {
	handler *Handler
	live    *Live
	request *http.Request
	visitor visitor
	bonds   *weld.Bonds
	cookies string // the Cookie line that the app gets
	// elsewhere are values of the session's own that it gets in its target or
	// form.
	elsewhere []weld.Cookie
	after     string // the same after its answer
	next      Next
	// turn is nil where nothing is at stake and nothing changes: no session,
	// no cookie of its own, an app that cannot be asked.
	turn    *weld.Turn
	changes bool // the request may change the person
	stake   bool // its path needs more than a password gives
	strange bool // the app may have been shown a session that is nobody's here
	asks    bool // the app can be asked about a cookie of the session's
	settled bool // the app was asked, or need not be
	answers bool // the app has begun to answer
	// shown lets logins have the values that the app was shown as nobody's;
	// nil where there are none.
	shown  func()
	values []weld.Hash
}

func (h *Handler) newWelder(r *http.Request, live *Live, v visitor, bonds *weld.Bonds) *welder {
	o := &welder{handler: h, live: live, request: r, visitor: v, bonds: bonds}
	if len(r.Header["Cookie"]) == 1 {
		o.cookies = r.Header["Cookie"][0]
	}
	return o
}

// queue waits for the request's turn among those of its session. The error is
// for a page.
func (o *welder) queue(d policy.Decision) error {
	o.asks = true
	o.changes = changesPerson(o.request)
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
// with its error, or has given up. The error says why what waits of the answer
// may not go out.
func (o *welder) settle(err error, waits bool) error {
	if o.turn == nil {
		return nil
	}
	defer o.turn.Done()
	if o.settled || !o.changes && !waits {
		return nil
	}
	o.settled = true
	if o.after == "" {
		o.after = o.cookies
	}
	switch {
	case neverSent(err):
		return nil
	case o.live.Turns.Ended(o.visitor.id()):
		return weld.ErrEnded
	case o.changes && !o.answers && !errors.Is(err, legacyform.ErrStray):
		// It may act on the request at any time from now on, but for one that
		// was cut off here before both fields of a login were in it.
		o.end(errUnanswered)
		return errUnanswered
	}
	return o.agrees()
}

var errUnanswered = errors.New("a request that may change the person got no answer")

// leave gives up the turn of a request that does not go to the app.
func (o *welder) leave() {
	if o.turn != nil {
		o.turn.Done()
	}
}

// agree asks the app at once whether the answer may go out.
func (o *welder) agree() error {
	o.settled = true
	defer o.turn.Done()
	return o.agrees()
}

func (o *welder) agrees() error {
	why := o.same()
	if why != nil {
		o.end(why)
	}
	return why
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

// refusal answers in place of the app.
func (o *welder) refusal(why error) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		clear(w.Header())
		o.live.Ceremonies.Place.ClearCookie(w)
		o.handler.fail(w, o.request, waitedInVain(errors.Join(weld.ErrEnded, why)))
	}
}

// keepPerson keeps an answer in whose meaning the app may have taken the
// session's cookie for somebody else's.
func (a *Answer) keepPerson(h http.Header) fate {
	o := a.weld
	switch {
	case o == nil:
		return goes
	case !a.sent && o.changes: // one of 1xx
		return stays
	case !a.sent:
		delete(h, "Set-Cookie") // no browser takes one from there
		return goes
	}
	o.answers = true
	if o.live != nil {
		if err := o.handler.regiven(o.request.Context(), o.live, o.visitor, h); err != nil {
			o.handler.Log.Error("end sessions whose cookie the app has given again", zap.Error(err))
		}
	}
	if o.visitor.entry == nil {
		return goes
	}
	f, why := o.judge(a.status, h)
	if why != nil {
		return a.replace(o.refusal(why))
	}
	return f
}

// judge tells whether an answer of somebody's session goes out, waits, or is
// refused for a reason.
func (o *welder) judge(status int, h http.Header) (fate, error) {
	if o.turn == nil && changesPerson(o.request) && o.givesOwn(h) {
		// The app was shown nothing of the session's, and may have given its
		// value to somebody else.
		o.after = weld.After(o.cookies, h, o.live.now())
		if why := o.agrees(); why != nil {
			return stays, why
		}
	}
	if o.turn != nil && (o.changes || o.turn.Doubtful()) {
		o.after = weld.After(o.cookies, h, o.live.now())
		switch {
		case streams(status, h):
			if why := o.agree(); why != nil {
				return stays, why
			}
		case o.stake:
			return waits, nil
		}
	} else if o.turn != nil {
		o.turn.Done()
	}
	if o.asks && !o.changes && redirects(status) {
		// A link by which somebody signs in ends so.
		o.after = weld.After(o.cookies, h, o.live.now())
		if why := o.same(); errors.Is(why, errForeign) {
			o.end(why)
			return stays, why
		}
	}
	return goes, nil
}

// givesOwn tells whether an answer gives a value that is the session's own.
func (o *welder) givesOwn(h http.Header) bool {
	return slices.ContainsFunc(o.handler.Form.Cookies().Issued(h, o.live.now()), func(c weld.Cookie) bool { return o.live.weld.Mine(o.bonds, c) })
}

// streams tells whether an answer goes on for as long as it likes.
func streams(status int, h http.Header) bool {
	kind := strings.ToLower(h.Get("Content-Type"))
	return status == http.StatusSwitchingProtocols || EventStream(kind) || strings.HasPrefix(kind, "application/grpc")
}

func redirects(status int) bool {
	return status >= 300 && status < 400 && status != http.StatusNotModified
}

// weldCookies remembers the cookies of an answer that may be seen, unless it
// names another person.
func (a *Answer) weldCookies(h http.Header) fate {
	o := a.weld
	if o == nil || o.visitor.entry == nil {
		return goes
	}
	if who, err := o.handler.Form.Named(a.status, h); err == nil && !o.handler.isVisitor(context.WithoutCancel(o.request.Context()), o.live, o.visitor, who) {
		o.end(errForeign)
		return a.replace(o.refusal(errForeign))
	}
	if h["Set-Cookie"] != nil {
		o.issued(a.status, h)
	}
	return goes
}

// sendOn sends the person on in place of the page on which the app's sign-in
// ended.
func (a *Answer) sendOn(h http.Header) fate {
	o := a.weld
	if o == nil || o.visitor.entry == nil || o.visitor.going == nil || a.status != http.StatusOK || !landing(o.request) ||
		!strings.HasPrefix(strings.ToLower(h.Get("Content-Type")), "text/html") {
		return goes
	}
	for name := range h {
		if strings.HasPrefix(name, "Content-") || name == "Etag" || name == "Last-Modified" || name == "Cache-Control" || name == "Expires" {
			delete(h, name)
		}
	}
	return a.replace(func(w http.ResponseWriter) { o.handler.resume(w, o.request, o.live, o.visitor) })
}
