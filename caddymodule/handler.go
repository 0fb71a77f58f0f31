package caddymodule

import (
	"net/http"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/stepgate/stepgate/caddymodule/source"
	"github.com/stepgate/stepgate/internal/gate"
	"github.com/stepgate/stepgate/internal/signin/legacyform"
	"github.com/stepgate/stepgate/internal/signin/upstreambasic"
	"github.com/stepgate/stepgate/internal/web"
	"github.com/stepgate/stepgate/policy"
	"github.com/stepgate/stepgate/policy/target"
)

func init() {
	caddy.RegisterModule(new(Handler))
}

// Handler is the Caddy handler "http.handlers.stepgate": the gate of one
// site. It passes a request on only when its levels are met.
type Handler struct {
	SiteConfig

	logger    *zap.Logger
	app       *App
	sources   []source.Module
	policy    *policy.Policy
	report    *policy.Policy // judged and told, never enforced
	reader    *target.Reader
	managed   *gate.HeaderSet
	names     []identityHeader
	web       *web.Site
	kit       *web.Kit
	pages     *web.Pages
	form      *legacyform.Form      // the app's own login form, where one is watched
	basic     *upstreambasic.Source // the app's own question for a password, where it is the sign-in
	lending   lending
	live      atomic.Pointer[live]
	forwarder proxyWarning
}

// CaddyModule implements caddy.Module.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.stepgate", New: func() caddy.Module { return new(Handler) }}
}

// ServeHTTP is the way of every request. Each step has a name; what a step
// does is below that name.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	r = h.hear(r) // before a header that names somebody is withheld
	h.managed.StripRequest(r)
	p := passages.Get().(*passage)
	defer p.release()
	if err := p.read(h, r); err != nil {
		return h.refuseTarget(w, r, err)
	}
	if page, err := p.ownPage(h, r); page != nil || err != nil {
		return h.serveOwn(w, r, page, err)
	}
	visitor := h.find(r)
	if answered, err := h.restore(w, r, p, visitor); answered {
		return err
	}
	decision := p.judge(h, r, visitor)
	h.reportOnly(p, r)
	if sight := h.sight(r, p, decision); sight != legacyform.Elsewhere {
		return h.login(w, r, p, visitor, decision, sight, next)
	}
	if h.strangerToApp(r, visitor, decision) {
		return h.signInAtApp(w, r, p, visitor, decision, next)
	}
	if h.named(r, visitor, decision) {
		return h.signInNamed(w, r, p, next)
	}
	decision = h.spend(r, visitor, decision, p)
	switch {
	case decision.Outcome == policy.Deny:
		return h.deny(w, r, p, visitor, decision)
	case visitor.err != nil && !open(decision):
		return h.unavailable(w, r, visitor.err)
	case decision.Outcome == policy.Allow:
		h.prepare(r, p, visitor, decision)
		return h.watch(w, r, p, visitor, decision, next)
	default:
		return h.begin(w, r, p, visitor, decision)
	}
}

// open tells whether a request goes on without a store.
func open(d policy.Decision) bool { return d.Outcome == policy.Allow && d.Public }

// Interface guards.
var (
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddy.Validator             = (*Handler)(nil)
)
