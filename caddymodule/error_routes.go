package caddymodule

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func init() {
	caddy.RegisterModule(new(errorGate))
}

// errorGate is a site's gate before a proxy of its `handle_errors`: a request
// comes there by an error, which may have come up before the gate has seen it.
// No configuration names it; the gate puts it there.
type errorGate struct {
	// Site is the gate's place among those of the app.
	Site int `json:"site"`
	// Hosts are those of its site. Requests for others are not its own.
	Hosts caddyhttp.MatchHost `json:"hosts,omitempty"`

	gate *Handler
}

// CaddyModule implements caddy.Module.
func (*errorGate) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.stepgate_errors", New: func() caddy.Module { return new(errorGate) }}
}

// Provision finds the gate.
func (g *errorGate) Provision(ctx caddy.Context) error {
	app, err := ctx.App("stepgate")
	if err != nil {
		return fmt.Errorf("stepgate: %w", err)
	}
	sites := app.(*App).sites
	if g.Site < 0 || g.Site >= len(sites) {
		return fmt.Errorf("stepgate_errors: there is no gate %d", g.Site)
	}
	g.gate = sites[g.Site]
	return g.Hosts.Provision(ctx)
}

// ServeHTTP has the gate judge the request, the error's rewrites and all.
func (g *errorGate) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if len(g.Hosts) > 0 {
		if ours, err := g.Hosts.MatchWithError(r); err == nil && !ours {
			return next.ServeHTTP(w, r)
		}
	}
	return g.gate.ServeHTTP(w, r, next)
}

// guardErrorRoutes puts the gate before every proxy in the routes of errors.
// They are provisioned after the routes in which the gate stands.
func (h *Handler) guardErrorRoutes(ctx caddy.Context) error {
	around := h.surroundings(ctx)
	if around.server == nil || around.server.Errors == nil {
		return nil
	}
	guard := errorGate{Site: slices.Index(h.app.sites, h)}
	if !slices.Contains(around.hosts, "*") {
		guard.Hosts = around.hosts
	}
	before := map[string]any{"handler": "stepgate_errors", "site": guard.Site, "hosts": guard.Hosts}
	for i := range around.server.Errors.Routes {
		route := &around.server.Errors.Routes[i]
		handlers := make([]any, len(route.HandlersRaw))
		for j, raw := range route.HandlersRaw {
			if err := json.Unmarshal(raw, &handlers[j]); err != nil {
				return fmt.Errorf("read an error route: %w", err)
			}
		}
		guarded := guardProxies(handlers, before)
		route.HandlersRaw = make([]json.RawMessage, len(guarded))
		for j, handler := range guarded {
			raw, err := json.Marshal(handler)
			if err != nil {
				return err
			}
			route.HandlersRaw[j] = raw
		}
	}
	return nil
}

// guardProxies puts a handler before each proxy of a list of handlers, and of
// the lists within them.
func guardProxies(handlers []any, before map[string]any) []any {
	var guarded []any
	for _, handler := range handlers {
		node, ok := handler.(map[string]any)
		if ok && node["handler"] == "reverse_proxy" {
			guarded = append(guarded, before)
		}
		if ok {
			guardWithin(node, before)
		}
		guarded = append(guarded, handler)
	}
	return guarded
}

func guardWithin(tree any, before map[string]any) {
	switch node := tree.(type) {
	case map[string]any:
		for name, below := range node {
			if list, ok := below.([]any); ok && name == "handle" {
				node[name] = guardProxies(list, before)
				continue
			}
			guardWithin(below, before)
		}
	case []any:
		for _, below := range node {
			guardWithin(below, before)
		}
	}
}

// Interface guards.
var (
	_ caddyhttp.MiddlewareHandler = (*errorGate)(nil)
	_ caddy.Provisioner           = (*errorGate)(nil)
)
