package caddymodule

import (
	"encoding/json"
	"net/http"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/stepgate/stepgate/caddymodule/source"
	"github.com/stepgate/stepgate/internal/gate"
	"github.com/stepgate/stepgate/internal/web"
)

func init() {
	caddy.RegisterModule(new(Handler))
}

// Handler is the Caddy handler "http.handlers.stepgate": the porch of one
// site's gate, where every request goes in.
type Handler struct {
	SiteConfig

	logger         *zap.Logger
	app            *App
	sources        []source.Module
	opening        sync.Mutex
	opened         []source.Source // of sources, as many as are open
	gate           gate.Handler
	administration *web.Pages // of administrators; nil where the site has none
	pages          *web.Pages // of the ceremonies
	own            *web.Pages // of people's own accounts
	// asWritten is the gate as Caddy gave it.
	asWritten json.RawMessage
	forwarder proxyWarning
}

// CaddyModule implements caddy.Module.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.stepgate", New: func() caddy.Module { return new(Handler) }}
}

// ServeHTTP hands the request to the gate.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	h.warnAboutForwarder(r)
	return h.gate.ServeHTTP(w, r, next)
}

// Interface guards.
var (
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddy.Validator             = (*Handler)(nil)
)
