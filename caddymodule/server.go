package caddymodule

import (
	"errors"
	"net/http"
	"net/netip"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/stepgate/stepgate/internal/gate"
)

// server tells a gate what only Caddy knows of a request.
type server struct{ app *App }

// Original implements gate.Server.
func (s server) Original(r *http.Request) string {
	original, _ := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request)
	return original.RequestURI
}

// Client implements gate.Server, by Caddy's trusted_proxies.
func (s server) Client(r *http.Request) netip.Addr { return clientAddress(r) }

// Country implements gate.Server.
func (s server) Country(r *http.Request) string { return s.app.countryOf(r) }

// Placeholders implements gate.Server.
func (s server) Placeholders(r *http.Request) func(string) string {
	repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok {
		return nil
	}
	return func(placeholder string) string {
		value, _ := repl.GetString(placeholder)
		return value
	}
}

// Provide implements gate.Server.
func (s server) Provide(r *http.Request, values func(placeholder string) (any, bool)) {
	if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		repl.Map(values)
	}
}

// Switched implements gate.Server: the proxy keeps quiet about a change of
// protocol that it did not ask for.
func (s server) Switched(r *http.Request) bool {
	repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok {
		return false
	}
	status, _ := repl.Get("http.reverse_proxy.status_code")
	return status == http.StatusSwitchingProtocols
}

// passedVar holds what the gate remembers of a request that comes back as an
// error.
const passedVar = "stepgate.passed"

// Remember implements gate.Server.
func (s server) Remember(r *http.Request, what any) {
	caddyhttp.SetVar(r.Context(), passedVar, what)
}

// Remembered implements gate.Server.
func (s server) Remembered(r *http.Request) any { return caddyhttp.GetVar(r.Context(), passedVar) }

// Note implements gate.Server. A server that logs no requests makes nothing of it.
func (s server) Note(r *http.Request, outcome, levels, reference string) {
	server, ok := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok || server.Logs == nil {
		return
	}
	extra, ok := r.Context().Value(caddyhttp.ExtraLogFieldsCtxKey).(*caddyhttp.ExtraLogFields)
	if !ok {
		return
	}
	fields := []zap.Field{zap.String("outcome", outcome)}
	if levels != "" {
		fields = append(fields, zap.String("levels", levels))
	}
	if reference != "" {
		fields = append(fields, zap.String("reference", reference))
	}
	extra.Set(zap.Dict("stepgate", fields...))
}

// Ask implements gate.Server: a request of its own, to the same server.
func (s server) Ask(q *http.Request, w http.ResponseWriter, next gate.Next) error {
	server, ok := q.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok {
		return errors.New("the request has no server")
	}
	return next.ServeHTTP(w, caddyhttp.PrepareRequest(q, caddy.NewReplacer(), w, server))
}

// clientAddress is the client's, as Caddy's trusted_proxies vouch for it.
func clientAddress(r *http.Request) netip.Addr {
	text, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap().WithZone("")
}

// Interface guard.
var _ gate.Server = server{}
