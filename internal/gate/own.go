package gate

import (
	"net/http"
	"net/url"
	"strings"

	"go.uber.org/zap"

	"github.com/stepgate/stepgate/internal/web"
)

// ownPages is what the gateway answers itself, below its prefix.
type ownPages struct{ *Handler }

// ownHandler finds the page at a path below the prefix.
func (h ownPages) ownHandler(path string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if scripts(h).servesScript(path) {
			own := *r
			own.URL = &url.URL{Path: path}
			h.Script.ServeHTTP(w, &own)
			return
		}
		l, err := h.alive(r.Context())
		if path == h.Prefix+"/health" {
			h.serveHealth(w, r, l, err)
			return
		}
		if err != nil {
			h.fail(w, r, &web.Fail{Status: http.StatusServiceUnavailable, Err: err})
			return
		}
		// An earlier handler may have rewritten the path: pages go by what
		// the client sent.
		at := *r.URL
		at.Path, at.RawPath = path, ""
		own := *r
		own.URL = &at
		rest := strings.TrimPrefix(path, h.Prefix)
		switch {
		case rest == "/status":
			l.status.ServeHTTP(w, &own)
		case rest == "/live" && h.Script != nil:
			l.script.ServeHTTP(w, &own)
		case l.Ceremonies.WaitsAt(rest):
			l.waits.ServeHTTP(w, &own)
		case rest == "/jwks.json":
			h.serveJWKS(w, &own, l)
		case l.Ceremonies.FromIssuer(rest, &own):
			l.Ceremonies.HearIssuer(rest, w, &own)
		case strings.HasPrefix(rest, "/assets/"):
			l.assets.ServeHTTP(w, &own)
		default:
			l.pages.ServeHTTP(w, &own)
		}
	})
}

// serveHealth tells a balancer whether this node can serve, its store
// included, and nobody anything more.
func (h ownPages) serveHealth(w http.ResponseWriter, r *http.Request, l *Live, err error) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.fail(w, r, &web.Fail{Status: http.StatusMethodNotAllowed, Allow: "GET, HEAD"})
		return
	}
	if err == nil {
		err = l.Sessions.Answers(r.Context())
	}
	web.Harden(w.Header(), h.Web)
	if err != nil {
		h.Log.Debug("not healthy", zap.Error(err))
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// serveJWKS answers with the public keys of the identity assertion.
func (h ownPages) serveJWKS(w http.ResponseWriter, r *http.Request, l *Live) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.fail(w, r, &web.Fail{Status: http.StatusMethodNotAllowed, Allow: "GET, HEAD"})
		return
	}
	web.Harden(w.Header(), h.Web)
	w.Header().Set("Content-Type", "application/jwk-set+json")
	w.Header().Set("Cache-Control", "public, max-age=300")
	w.Header().Del("Vary")
	w.Write(l.Ring.JWKS())
}

const changePasswordPath = "/.well-known/change-password"

// changePassword sends password managers to the account page (W3C
// change-password-url).
func (h ownPages) changePassword(w http.ResponseWriter, r *http.Request) {
	if err := web.Redirect(w, r, h.Web, h.Web.Path("/account")); err != nil {
		h.fail(w, r, err)
	}
}
