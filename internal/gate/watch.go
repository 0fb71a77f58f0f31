package gate

import (
	"net/http"

	"github.com/stepgate/stepgate/policy"
)

// watch passes the request on, and corrects what only the gateway may say in
// the answer.
func (h *Handler) watch(w http.ResponseWriter, r *http.Request, p *passage, v visitor, d policy.Decision) error {
	if (spending{h}).coversPages(r) {
		return h.fail(w, r, errServiceWorker)
	}
	w = p.shake.Over(w)
	o, err := logins{h}.hold(r, p, v, d)
	if err != nil {
		return h.fail(w, r, err)
	}
	if o != nil {
		defer o.Over(http.ErrAbortHandler)
	}
	trail{h}.tellAllowed(r, d)
	a := p.answer
	a.ResponseWriter, a.Site, a.Request, a.Handshake = w, h, r, p.shake
	a.Entry, a.Needed, a.Private = v.entry, d.Needed&^d.Once, !d.Public
	a.Page, a.weld, a.leave, a.ours = scripts{h}.page(r, p, v), o, p.leave, w.Header()["Set-Cookie"]
	if a.ours != nil {
		delete(w.Header(), "Set-Cookie") // they come after the app's, whose own of these names do not leave
	}
	if p.asked {
		a.asking = &asking{basics{h}, v, basics{h}.atApp(r, p.next)}
	}
	if v.going != nil && o.Somebody() && landing(r) {
		a.going = func(w http.ResponseWriter) { logins{h}.resume(w, r, h.live.Load(), v) }
	}
	defer a.End()
	err = p.next.ServeHTTP(a, a.Begin())
	if err == nil && !a.Sent() && h.Server.Switched(r) {
		a.RefuseSwitch()
	}
	if err != nil {
		visitors{h}.remember(r, v)
	}
	a.Settle(err)
	if o != nil {
		o.Over(err)
	}
	return err
}
