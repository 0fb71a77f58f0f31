package gate

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/stepgate/stepgate/internal/web"
	"github.com/stepgate/stepgate/internal/weld"
	"github.com/stepgate/stepgate/policy"
)

// This file is for requests that may sign somebody in where nobody watches, by
// a value that is nobody's yet. Until the app has answered, no login binds that
// value; if it never answers, none does for some minutes.

// changesPerson tells whether a request may make the app take a cookie for
// somebody else's.
func changesPerson(r *http.Request) bool { return !safeMethod(r.Method) || claimsMethod(r.Header) }

// show keeps logins away from the values that a request shows the app, and
// judges its cookies again: one may have been bound a moment ago. line is its
// Cookie line as it came, found its values elsewhere. The error is for a page.
func (o *welder) show(line string, found []weld.Cookie, d policy.Decision) error {
	ctx, h := o.request.Context(), o.handler
	values := o.live.weld.Carried(line, o.visitor.id(), found)
	done, err := o.live.Turns.Shown(ctx, values)
	if err != nil {
		return waitedInVain(err)
	}
	o.shown, o.values = done, values
	if o.visitor.entry != nil {
		if o.bonds, err = h.readBonds(ctx, o.live, o.visitor); err != nil {
			o.over(nil)
			return &web.Fail{Status: http.StatusServiceUnavailable, Err: err}
		}
	}
	passed := o.live.weld.Pass(ctx, line, o.visitor.id(), o.bonds, d.Public)
	if passed.Mine && o.turn == nil && h.Form.ConfirmsLater() {
		// It has become the session's own, whose requests of this kind take turns.
		o.over(nil)
		return waitedInVain(weld.ErrBusy)
	}
	weld.SetLine(o.request.Header, passed.Line)
	o.cookies = passed.Line
	if !o.live.weld.Allowed(ctx, found, o.visitor.id(), o.bonds, d.Public) {
		o.over(nil)
		return h.weldRefused(o.request, o.visitor)
	}
	return nil
}

// over lets logins have the values that were shown. An error, or a handler that
// broke off, may leave the app at work with them. It may be called again.
func (o *welder) over(err error) {
	if o.shown == nil {
		return
	}
	if err != nil && !neverSent(err) {
		o.live.Turns.Spoil(slices.DeleteFunc(o.values, o.bound), o.live.now())
	}
	o.shown()
	o.shown = nil
}

// bound tells whether a value is the session's own: what is done with it is
// asked of the app.
func (o *welder) bound(h weld.Hash) bool { return o.bonds.Has(h) }

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
