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
	metrics.allowed.Inc()
	o := &outgoing{private: !d.Public}
	o.ResponseWriterWrapper.ResponseWriter = w
	r, done := h.stream(o, r, v, d)
	defer done()
	return next.ServeHTTP(o, r)
}
