package caddymodule

import (
	"net/http"
	"net/netip"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
)

// proxyWarning is given once a site: something forwards requests of which the
// address is not to be believed, or is not believed.
type proxyWarning struct{ given atomic.Bool }

// warnAboutForwarder tells of a proxy whose word on the client's address is
// taken as clients make it up, or not at all.
func (h *Handler) warnAboutForwarder(r *http.Request) {
	if h.forwarder.given.Load() || r.Header["X-Forwarded-For"] == nil {
		return
	}
	trusted, _ := caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool)
	if trusted {
		h.warnOfLaxTrust(r)
		return
	}
	peer, private := privatePeer(r.RemoteAddr)
	if !private || clientAddress(r) != peer || !h.forwarder.given.CompareAndSwap(false, true) {
		return
	}
	h.logger.Warn("requests come with X-Forwarded-For from a private address that is not among trusted_proxies: everybody counts as that one address, and a few wrong guesses from anywhere stop everybody; name it in the server's options with trusted_proxies static private_ranges and trusted_proxies_strict (for a unix socket: trusted_proxies_unix)",
		zap.String("peer", r.RemoteAddr), zap.String("site", h.Origin))
}

// warnOfLaxTrust tells of a server that believes addresses which clients make
// up: without trusted_proxies_strict the left-most of X-Forwarded-For counts,
// and that is the client's own word.
func (h *Handler) warnOfLaxTrust(r *http.Request) {
	server, ok := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok || server.TrustedProxiesStrict != 0 || !h.forwarder.given.CompareAndSwap(false, true) {
		return
	}
	h.logger.Warn("trusted_proxies without trusted_proxies_strict: clients can choose the address that limits and rules go by; add trusted_proxies_strict to the server's options",
		zap.String("site", h.Origin))
}

// privatePeer is the address of a connection's other end, the zero one for a
// unix socket, and whether strangers cannot have it.
func privatePeer(remote string) (netip.Addr, bool) {
	at, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Addr{}, true
	}
	addr := at.Addr().Unmap().WithZone("")
	return addr, addr.IsPrivate() || addr.IsLoopback() || addr.IsLinkLocalUnicast()
}
