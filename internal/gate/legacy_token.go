package gate

import (
	"net/http"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/stepgate/stepgate/internal/signin/legacyform"
	"github.com/stepgate/stepgate/internal/weld"
)

// elsewhereTokens are the bearer tokens that a request has in its targets.
func (h *Handler) elsewhereTokens(r *http.Request, p *passage) []string {
	found := h.Form.TokensInURL(p.sent.RawPath(), p.sent.RawQuery())
	if path, query, _ := strings.Cut(r.RequestURI, "?"); path != p.sent.RawPath() || query != p.sent.RawQuery() {
		found = append(found, h.Form.TokensInURL(path, query)...)
	}
	return found
}

// passTokens tells whether all bearer tokens of a request's address may reach
// the app.
func (h *Handler) passTokens(r *http.Request, live *Live, v visitor, bonds *weld.Bonds, tokens []string, public bool, next Next) bool {
	return !slices.ContainsFunc(tokens, func(token string) bool { return !h.passToken(r, live, v, bonds, token, public, next) })
}

// passToken tells whether a bearer token may reach the app: as the visitor's
// own, as nobody's on a public path, or as one that the app, asked, says is
// the same person's.
func (h *Handler) passToken(r *http.Request, live *Live, v visitor, bonds *weld.Bonds, token string, public bool, next Next) bool {
	ctx := r.Context()
	pass, foreign := live.weld.Token(ctx, token, v.id(), bonds, public)
	if foreign {
		h.weldRefused(r, v)
	}
	if pass || foreign || v.entry == nil {
		return pass
	}
	fresh, err := h.readBonds(ctx, live, v) // another node may have bound it
	if err != nil {
		h.Log.Error("read bound tokens", zap.Error(err))
		return false
	}
	if pass, _ = live.weld.Token(ctx, token, v.id(), fresh, false); pass {
		return true
	}
	return h.confirmToken(r, live, v, token, next)
}

// confirmToken binds a token that the app says is the visitor's.
func (h *Handler) confirmToken(r *http.Request, live *Live, v visitor, token string, next Next) bool {
	ctx := r.Context()
	if !h.Form.ConfirmsLater() || live.now().UnixNano() < v.memo.confirmFrom.Load() {
		return false
	}
	who, err := h.Form.Who(legacyform.WithBearer(ctx, token), h.asker(r, next), "")
	if err == nil && h.isVisitor(ctx, live, v, who) {
		err := h.bind(ctx, live, v.entry.Session, []weld.Cookie{{Name: weld.Bearer, Value: token}})
		return err == nil
	}
	v.memo.confirmFrom.Store(live.now().Add(confirmPause).UnixNano())
	return false
}
