package caddymodule

import (
	"reflect"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
)

// warnAboutProxies tells of a server that believes addresses which clients
// make up: without trusted_proxies_strict the left-most X-Forwarded-For
// counts, and that is the client's own word.
func (h *Handler) warnAboutProxies(ctx caddy.Context) {
	srv, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok || !trusts(srv) || srv.TrustedProxiesStrict != 0 {
		return
	}
	h.logger.Warn("trusted_proxies without trusted_proxies_strict: clients can choose the address that limits and rules go by; add trusted_proxies_strict to the server's options",
		zap.String("site", h.Origin))
}

// trusts tells whether a server has a source of trusted proxies. Caddy has
// loaded it by now and forgotten its raw form; what it loaded is not exported,
// but may be asked whether it is there.
func trusts(srv *caddyhttp.Server) bool {
	source := reflect.ValueOf(srv).Elem().FieldByName("trustedProxies")
	return srv.TrustedProxiesUnix || source.IsValid() && !source.IsNil()
}

// validHeaderName goes by RFC 9110 §5.6.2.
func validHeaderName(name string) bool {
	if name == "" {
		return false
	}
	for i := 0; i < len(name); i++ {
		c := name[i]
		if c <= ' ' || c >= 0x7f || c == ':' || c == '"' || c == '(' || c == ')' || c == ',' || c == '/' || c == ';' || c == '<' || c == '=' || c == '>' || c == '?' || c == '@' || c == '[' || c == '\\' || c == ']' || c == '{' || c == '}' {
			return false
		}
	}
	return true
}
