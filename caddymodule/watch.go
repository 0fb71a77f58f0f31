package caddymodule

import (
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/stepgate/stepgate/internal/gate"
	"github.com/stepgate/stepgate/policy"
)

// saidSwitching tells whether an upstream has answered with a change of
// protocol of which nothing was passed on: the proxy keeps quiet about one
// that it did not ask for.
func saidSwitching(r *http.Request) bool {
	repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok {
		return false
	}
	status, _ := repl.Get("http.reverse_proxy.status_code")
	return status == http.StatusSwitchingProtocols
}

// watch passes the request on, and corrects what only the gateway may say in
// the answer.
func (h *Handler) watch(w http.ResponseWriter, r *http.Request, p *passage, v visitor, d policy.Decision, next caddyhttp.Handler) error {
	if h.coversPages(r) {
		return h.fail(w, r, errServiceWorker)
	}
	if h.basic != nil {
		h.holdCredentials(r, v)
	}
	w = p.shake.Over(w)
	var welded *welder
	if h.form != nil {
		if welded = h.welded(w, r, p, v, d, next); welded == nil {
			return nil
		}
		defer welded.finish()
		w = welded
	}
	metrics.allowed.Inc()
	a := &gate.Answer{ResponseWriter: w, Site: h, Request: r, Handshake: p.shake, Entry: v.entry, Needed: d.Needed &^ d.Once, Private: !d.Public}
	defer a.End()
	err := next.ServeHTTP(a, a.Begin())
	if err == nil && !a.Sent() && saidSwitching(r) {
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
