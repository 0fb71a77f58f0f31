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

// errorGate is a site's gate before a proxy or a file server of its
// `handle_errors`: a request comes there by an error, which may have come up
// before the gate has seen it. No configuration names it; the gate puts it
// there.
type errorGate struct {
	// Site is the gate's place among those of the app.
	Site int `json:"site"`
	// Hosts are those of its site. Requests for others are not its own.
	Hosts caddyhttp.MatchHost `json:"hosts,omitempty"`
	// OwnPages lets through what the routes of errors have led to another
	// path: it stands before a file server, and that path is a page of words
	// on the error.
	OwnPages bool `json:"own_pages,omitempty"`

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
	if g.OwnPages && ledElsewhere(r) {
		return next.ServeHTTP(w, r)
	}
	return g.gate.ServeHTTP(w, r, next)
}

// ledElsewhere tells whether a request has another path than it was sent with.
func ledElsewhere(r *http.Request) bool {
	sent, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request)
	return ok && sent.URL != nil && sent.URL.Path != r.URL.Path
}

// guardErrorRoutes puts the gate before whatever in the routes of errors
// answers with something that a policy protects. They are provisioned after
// the routes in which the gate stands.
func (h *Handler) guardErrorRoutes(ctx caddy.Context) error {
	around := h.surroundings(ctx)
	if around.server == nil {
		return nil
	}
	place := errorGate{Site: slices.Index(h.app.sites, h)}
	if !slices.Contains(around.hosts, "*") {
		place.Hosts = around.hosts
	}
	for _, list := range around.errors {
		g := errorGuard{errorGate: place, named: around.server.NamedRoutes, restored: list.restored}
		for i := range list.routes {
			if err := g.guard(&list.routes[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// errorGuard puts a gate into routes of errors.
type errorGuard struct {
	errorGate
	named    map[string]*caddyhttp.Route
	restored bool // as that of errorList
}

func (g *errorGuard) guard(route *caddyhttp.Route) error {
	handlers, err := handlersOf(route)
	if err != nil {
		return fmt.Errorf("read an error route: %w", err)
	}
	guarded := g.list(handlers)
	route.HandlersRaw = make([]json.RawMessage, len(guarded))
	for i, handler := range guarded {
		if route.HandlersRaw[i], err = json.Marshal(handler); err != nil {
			return err
		}
	}
	return nil
}

func handlersOf(route *caddyhttp.Route) ([]any, error) {
	handlers := make([]any, len(route.HandlersRaw))
	for i, raw := range route.HandlersRaw {
		if err := json.Unmarshal(raw, &handlers[i]); err != nil {
			return nil, err
		}
	}
	return handlers, nil
}

// list is a list of handlers with the gate in it, and in the lists within them.
func (g *errorGuard) list(handlers []any) []any {
	var guarded []any
	for _, handler := range handlers {
		if node, ok := handler.(map[string]any); ok {
			guarded = append(guarded, g.before(node)...)
			g.within(node)
		}
		guarded = append(guarded, handler)
	}
	return guarded
}

// before is what has to stand before a handler.
func (g *errorGuard) before(handler map[string]any) []any {
	gate := map[string]any{"handler": "stepgate_errors", "site": g.Site, "hosts": g.Hosts}
	switch handler["handler"] {
	case "reverse_proxy":
		return []any{gate}
	case "file_server":
		gate["own_pages"] = g.restored
		return []any{gate}
	case "invoke":
		if g.leads(handler, nil) {
			return []any{gate}
		}
	}
	return nil
}

func (g *errorGuard) within(tree any) {
	switch node := tree.(type) {
	case map[string]any:
		for name, below := range node {
			if list, ok := below.([]any); ok && name == "handle" {
				node[name] = g.list(list)
				continue
			}
			g.within(below)
		}
	case []any:
		for _, below := range node {
			g.within(below)
		}
	}
}

// leads tells whether there is a proxy or a file server in a handler, or in
// the named routes that it invokes. Those that it has been through are seen.
func (g *errorGuard) leads(tree any, seen []string) bool {
	switch node := tree.(type) {
	case map[string]any:
		switch node["handler"] {
		case "reverse_proxy", "file_server":
			return true
		case "invoke":
			name, _ := node["name"].(string)
			route := g.named[name]
			if route == nil || slices.Contains(seen, name) {
				return false
			}
			handlers, err := handlersOf(route)
			return err != nil || g.leads(handlers, append(seen, name))
		}
		for _, below := range node {
			if g.leads(below, seen) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(node, func(below any) bool { return g.leads(below, seen) })
	}
	return false
}

// Interface guards.
var (
	_ caddyhttp.MiddlewareHandler = (*errorGate)(nil)
	_ caddy.Provisioner           = (*errorGate)(nil)
)
