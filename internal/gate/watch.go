package gate

import (
	"net/http"

	"github.com/stepgate/stepgate/policy"
)

// watch passes the request on, and corrects what only the gateway may say in
// the answer.
func (h *Handler) watch(w http.ResponseWriter, r *http.Request, p *passage, v visitor, d policy.Decision, next Next) error {
	if h.coversPages(r) {
		return h.fail(w, r, errServiceWorker)
	}
	if h.Basic != nil {
		h.holdCredentials(r, v)
	}
	w = p.shake.Over(w)
	var welded *welder
	if h.Form != nil {
		if welded = h.welded(w, r, p, v, d, next); welded == nil {
			return nil
		}
		defer welded.finish()
		w = welded
	}
	metrics.allowed.Inc()
	a := &Answer{ResponseWriter: w, Site: h, Request: r, Handshake: p.shake, Entry: v.entry, Needed: d.Needed &^ d.Once, Private: !d.Public, Page: h.page(r, v)}
	defer a.End()
	err := next.ServeHTTP(a, a.Begin())
	a.End() // before the weld looks at the whole
	if err == nil && !a.Sent() && h.Server.Switched(r) {
		a.RefuseSwitch()
	}
	if err != nil {
		h.remember(r, v)
	}
	if welded != nil {
		return welded.settle(err, false)
	}
	return err
}
