package watched

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/stepgate/stepgate/internal/web"
	"github.com/stepgate/stepgate/internal/weld"
)

// Hold leaves of a request's cookies and tokens of the app what is the
// visitor's, and makes of a, which is new, what looks at the answer. Its error
// is for a page: the request does not go to the app.
func (s *Site) Hold(a *Answer, request Request) error {
	a.Request = request
	q := &a.Request
	q.site = s
	token, bears := q.takeToken()
	unknown := q.findBonds()
	if unknown != nil && !q.Public {
		return &web.Fail{Status: http.StatusServiceUnavailable, Err: unknown}
	}
	found := q.elsewhereIDs()
	if len(found) > 0 && (unknown != nil || !s.Weld.Allowed(q.HTTP.Context(), found, q.Visitor.id(), q.bonds, q.Public)) {
		return q.foreign()
	}
	if tokens := elsewhere(q, s.Form.TokensInURL); len(tokens) > 0 && (unknown != nil || !q.passTokens(tokens)) {
		return q.foreign()
	}
	if unknown != nil {
		s.Form.Cookies().Strip(q.HTTP.Header)
		a.Visitor = Visitor{}
		return nil
	}
	if bears && q.passToken(token) {
		q.HTTP.Header["Authorization"] = []string{"Bearer " + token}
	}
	line := weld.JoinLines(q.HTTP.Header)
	passed := q.passCookies()
	a.strange = passed.Strange || q.Public && (bears || len(found) > 0)
	if q.Changes {
		*q.HTTP = *q.HTTP.WithContext(outlasting(q.HTTP.Context()))
	}
	return a.keepApart(line, found, passed)
}

// keepApart has the request wait for others that may change whose the values
// are that it carries: its Cookie line as it came, and those found elsewhere
// in it.
func (a *Answer) keepApart(line string, found []weld.Cookie, passed weld.Passed) error {
	if len(a.HTTP.Header["Cookie"]) == 1 {
		a.cookies = a.HTTP.Header["Cookie"][0]
	}
	for _, c := range found {
		if a.site.Weld.Mine(a.bonds, c) {
			passed.Mine = true
			a.elsewhere = append(a.elsewhere, c)
		}
	}
	if passed.Mine && a.site.Form.ConfirmsLater() {
		if err := a.queue(); err != nil {
			return err
		}
	}
	if a.Changes && (passed.Strange || len(found) > 0) {
		if err := a.show(line, found); err != nil {
			a.leave()
			return err
		}
	}
	for _, c := range a.elsewhere { // the app is asked by a cookie
		a.cookies = join(a.cookies, c)
	}
	return a.still()
}

// still asks the app who the cookie's person is before a request goes to it
// that has waited in vain for another (weld.Turns.Use). The error is for a page.
func (a *Answer) still() error {
	if a.turn == nil || a.Changes || !a.turn.Doubtful() {
		return nil
	}
	a.after = a.cookies
	if why := a.agrees(); why != nil {
		a.leave()
		return waitedInVain(errors.Join(weld.ErrEnded, why))
	}
	return nil
}

// queue waits for the request's turn among those of its session. The error is
// for a page.
func (a *Answer) queue() error {
	a.asks = true
	if !a.Changes && !a.Stake {
		return nil
	}
	take := a.site.Turns.Use
	if a.Changes {
		take = a.site.Turns.Change
	}
	turn, err := take(a.HTTP.Context(), a.Visitor.id())
	if err != nil {
		return waitedInVain(err)
	}
	a.turn = turn
	return nil
}

// leave gives up the turn of a request that does not go to the app.
func (a *Answer) leave() {
	if a.turn != nil {
		a.turn.Done()
	}
}

// The rest of this file is for requests that may sign somebody in where nobody
// watches, by a value that is nobody's yet. Until the app has answered, no
// login binds that value; if it never answers, none does for some minutes.

// show keeps logins away from the values that a request shows the app, and
// judges its cookies again: one may have been bound a moment ago. line is its
// Cookie line as it came, found its values elsewhere. The error is for a page.
func (a *Answer) show(line string, found []weld.Cookie) error {
	ctx, s, id := a.HTTP.Context(), a.site, a.Visitor.id()
	values := s.Weld.Carried(line, id, found)
	done, err := s.Turns.Shown(ctx, values)
	if err != nil {
		return waitedInVain(err)
	}
	a.shown, a.values = done, values
	if a.Visitor.Entry != nil {
		if a.bonds, err = s.readBonds(ctx, a.Visitor); err != nil {
			a.Over(nil)
			return &web.Fail{Status: http.StatusServiceUnavailable, Err: err}
		}
	}
	passed := s.Weld.Pass(ctx, line, id, a.bonds, a.Public)
	if passed.Mine && a.turn == nil && s.Form.ConfirmsLater() {
		// It has become the session's own, whose requests of this kind take turns.
		a.Over(nil)
		return waitedInVain(weld.ErrBusy)
	}
	weld.SetLine(a.HTTP.Header, passed.Line)
	a.cookies = passed.Line
	if !s.Weld.Allowed(ctx, found, id, a.bonds, a.Public) {
		a.Over(nil)
		return a.foreign()
	}
	return nil
}

// Over lets logins have the values that were shown. An error, or a handler that
// broke off, may leave the app at work with them. It may be called again.
func (a *Answer) Over(err error) {
	if a.shown == nil {
		return
	}
	if err != nil && !neverSent(err) {
		a.site.Turns.Spoil(slices.DeleteFunc(a.values, a.bound), a.site.Now())
	}
	a.shown()
	a.shown = nil
}

// bound tells whether a value is the session's own: what is done with it is
// asked of the app.
func (a *Answer) bound(h weld.Hash) bool { return a.bonds.Has(h) }

// patience is how long the app may go on with a request that may change the
// person, once the browser has gone.
const patience = 30 * time.Second

// outlasting is a context that ends some time after another: what the app
// makes of a request that it has is to be known.
func outlasting(ctx context.Context) context.Context {
	out, cancel := context.WithCancel(context.WithoutCancel(ctx))
	context.AfterFunc(ctx, func() { time.AfterFunc(patience, cancel) })
	return out
}
