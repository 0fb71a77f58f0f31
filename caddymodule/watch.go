package caddymodule

import (
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/stepgate/stepgate/policy"
)

// watch passes the request on, and corrects what only the gateway may say in
// the answer.
func (h *Handler) watch(w http.ResponseWriter, r *http.Request, v visitor, d policy.Decision, next caddyhttp.Handler) error {
	if h.coversPages(r) {
		return h.fail(w, r, errServiceWorker)
	}
	var welded *welder
	if h.form != nil {
		if welded = h.welded(w, r, v, d, next); welded == nil {
			return nil
		}
		defer welded.finish()
		w = welded
	}
	metrics.allowed.Inc()
	o := &outgoing{handler: h, visitor: v, needed: d.Needed &^ d.Once, private: !d.Public}
	o.ResponseWriterWrapper.ResponseWriter = w
	r = o.supervise(r)
	defer o.finish()
	err := next.ServeHTTP(o, r)
	if welded != nil {
		return welded.settle(err, false)
	}
	return err
}
