package watched

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
	"github.com/stepgate/stepgate/internal/weld"
)

// Answer looks at the app's answer: session cookies that it sets are remembered
// for the session. Where the request may have made the app take the session's
// cookie for somebody else, the app is asked, and the session ends if it does
// not say that it is the same person still.
type Answer struct {
	Request
	cookies string // the Cookie line that the app gets
	// elsewhere are values of the session's own that it gets in its target or
	// form.
	elsewhere []weld.Cookie
	after     string // the Cookie line of the browser's next request
	// turn is nil where nothing is at stake and nothing changes: no session,
	// no cookie of its own, an app that cannot be asked.
	turn    *weld.Turn
	strange bool // the app may have been shown a session that is nobody's here
	asks    bool // the app can be asked about a cookie of the session's
	settled bool // the app was asked, or need not be
	answers bool // the app has begun to answer
	// shown lets logins have the values that the app was shown as nobody's;
	// nil where there are none.
	shown  func()
	values []weld.Hash
}

// changes tells whether the person of the session's own cookie may be another
// by now.
func (a *Answer) changes() bool { return a.asks && a.Changes }

// Somebody tells whether the answer is somebody's whose cookies are known.
func (a *Answer) Somebody() bool { return a != nil && a.Visitor.Entry != nil }

// same asks the app whether the session's cookie is the same person's still.
// Nil says that it is.
func (a *Answer) same() error {
	ctx := context.WithoutCancel(a.HTTP.Context())
	who, err := a.site.Form.Who(ctx, a.ask(), a.after)
	if err == nil && !a.site.isVisitor(ctx, a.Visitor, who) {
		return errForeign
	}
	return err
}

// Settle ends the request's turn. It is called when the app has answered, with
// its error, or has given up. The error says why what waits of the answer may
// not go out.
func (a *Answer) Settle(err error, waits bool) error {
	if a.turn == nil {
		return nil
	}
	defer a.turn.Done()
	if a.settled || !a.changes() && !waits {
		return nil
	}
	a.settled = true
	if a.after == "" {
		a.after = a.cookies
	}
	switch {
	case neverSent(err):
		return nil
	case a.site.Turns.Ended(a.Visitor.id()):
		return weld.ErrEnded
	case a.changes() && !a.answers && !errors.Is(err, legacyform.ErrStray):
		// It may act on the request at any time from now on, but for one that
		// was cut off here before both fields of a login were in it.
		a.end(errUnanswered)
		return errUnanswered
	}
	return a.agrees()
}

var errUnanswered = errors.New("a request that may change the person got no answer")

// Agree asks the app at once whether the answer may go out. The error says why
// it may not.
func (a *Answer) Agree() error {
	a.settled = true
	defer a.turn.Done()
	return a.agrees()
}

func (a *Answer) agrees() error {
	why := a.same()
	if why != nil {
		a.end(why)
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
func (a *Answer) end(why error) {
	s, row, ctx := a.site, a.Visitor.Entry.Session, context.WithoutCancel(a.HTTP.Context())
	s.Turns.End(row.ID, row.EndsAt, s.Now())
	e := s.Gate.Event(a.HTTP, audit.WeldRefused, a.Visitor.Entry)
	e.Outcome, e.Reason = "refused", "person-changed"
	switch {
	case errors.Is(why, legacyform.ErrNobody):
		e.Name, e.Outcome, e.Reason = audit.SessionLogout, "", "nobody-in-app"
	case !errors.Is(why, errForeign):
		e.Reason = "person-unknown"
		s.Log.Error("ask the app who somebody is", zap.Error(why))
	}
	if err := errors.Join(s.Sessions.EndID(ctx, row.ID), s.Recorder.Record(ctx, e)); err != nil {
		s.Log.Error("end a session whose cookie is somebody else's", zap.Error(err))
	}
}

// Refusal answers in place of the app.
func (a *Answer) Refusal(why error) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		clear(w.Header())
		a.site.Place.ClearCookie(w)
		a.site.Gate.Fail(w, a.HTTP, waitedInVain(errors.Join(weld.ErrEnded, why)))
	}
}

// Early is for an answer of the 1xx kind. It tells whether it may go out.
func (a *Answer) Early(h http.Header) bool {
	if a.changes() {
		return false
	}
	delete(h, "Set-Cookie") // no browser takes one from there
	return true
}

// Judge looks at a header in whose meaning the app may have taken the session's
// cookie for somebody else's. wait says that the answer goes out only when
// Settle or Agree says so; the error, why it does not at all.
func (a *Answer) Judge(status int, h http.Header) (wait bool, why error) {
	a.answers = true
	if a.site.Weld != nil {
		if err := a.site.regiven(a.HTTP.Context(), a.Visitor, h); err != nil {
			a.site.Log.Error("end sessions whose cookie the app has given again", zap.Error(err))
		}
	}
	if a.Visitor.Entry == nil {
		return false, nil
	}
	if a.turn == nil && a.Changes && a.givesOwn(h) {
		// The app was shown nothing of the session's, and may have given its
		// value to somebody else.
		a.comes(h)
		if why := a.agrees(); why != nil {
			return false, why
		}
	}
	if wait, why = a.inDoubt(status, h); wait || why != nil {
		return wait, why
	}
	if a.asks && !a.changes() && redirects(status) {
		// A link by which somebody signs in ends so.
		a.comes(h)
		if why := a.same(); errors.Is(why, errForeign) {
			a.end(why)
			return false, why
		}
	}
	return false, nil
}

// inDoubt judges an answer whose request took a turn: the person may be another
// by now, or the turn is over.
func (a *Answer) inDoubt(status int, h http.Header) (wait bool, why error) {
	switch {
	case a.turn == nil:
		return false, nil
	case !a.changes() && !a.turn.Doubtful():
		a.turn.Done()
		return false, nil
	}
	a.comes(h)
	if streams(status, h) {
		return false, a.Agree()
	}
	return a.Stake, nil
}

// comes remembers what the browser will send after this header.
func (a *Answer) comes(h http.Header) { a.after = weld.After(a.cookies, h, a.site.Now()) }

// givesOwn tells whether an answer gives a value that is the session's own.
func (a *Answer) givesOwn(h http.Header) bool {
	return slices.ContainsFunc(a.site.Form.Cookies().Issued(h, a.site.Now()), func(c weld.Cookie) bool { return a.site.Weld.Mine(a.bonds, c) })
}

// streams tells whether an answer goes on for as long as it likes.
func streams(status int, h http.Header) bool {
	kind := strings.ToLower(h.Get("Content-Type"))
	return status == http.StatusSwitchingProtocols || strings.Contains(kind, "text/event-stream") || strings.HasPrefix(kind, "application/grpc")
}

func redirects(status int) bool {
	return status >= 300 && status < 400 && status != http.StatusNotModified
}

// Weld remembers the cookies of an answer that may be seen. Its error says that
// the answer names another person, and may not.
func (a *Answer) Weld(status int, h http.Header) error {
	if a.Visitor.Entry == nil {
		return nil
	}
	who, err := a.site.Form.Named(status, h)
	if err == nil && !a.site.isVisitor(context.WithoutCancel(a.HTTP.Context()), a.Visitor, who) {
		a.end(errForeign)
		return errForeign
	}
	if h["Set-Cookie"] != nil {
		a.issued(status, h)
	}
	return nil
}

// issued remembers, or binds, what the app sets in the middle of a session. It
// remembers nothing where the app was shown a cookie that is nobody's: it may
// answer whoever that is, and call them as it calls the visitor.
func (a *Answer) issued(status int, header http.Header) {
	ctx, row, s := a.HTTP.Context(), a.Visitor.Entry.Session, a.site
	var fresh []weld.Cookie
	for _, c := range s.Form.Cookies().Issued(header, s.Now()) {
		if !s.Weld.Mine(a.bonds, c) {
			fresh = append(fresh, c)
		}
	}
	var err error
	if who, nobody := s.Form.Named(status, header); nobody == nil && s.isVisitor(ctx, a.Visitor, who) {
		err = s.bind(ctx, row, fresh)
	} else if s.Form.ConfirmsLater() && !a.strange {
		err = s.Weld.Offer(ctx, row.ID, row.EndsAt, fresh)
	}
	if err != nil {
		s.Log.Error("remember cookies of the app", zap.Error(err))
	}
	if err := s.Weld.SealAnswer(header, row.ID); err != nil {
		delete(header, "Set-Cookie")
		s.Log.Error("seal cookies of the app", zap.Error(err))
	}
}
