package weld

import (
	"context"
	"net/http"
	"regexp"
	"strings"

	"github.com/stepgate/stepgate/internal/session"
)

// Bearer is the name under which bearer tokens are bound. It can be no
// cookie's name.
const Bearer = "(bearer)"

var bearerLine = regexp.MustCompile(`^(?i:bearer) +([A-Za-z0-9._~+/-]+=*)$`)

// BearerToken is the one token of a request's Authorization header (RFC 6750
// §2.1). ok is false for none, several, or another scheme.
func BearerToken(h http.Header) (token string, ok bool) {
	lines := h["Authorization"]
	if len(lines) != 1 {
		return "", false
	}
	m := bearerLine.FindStringSubmatch(strings.TrimSpace(lines[0]))
	if m == nil {
		return "", false
	}
	return m[1], true
}

// Token judges a bearer token as Pass judges a cookie: whether it may reach
// the app with a request of the session id, and whether it is bound to
// another session.
func (w *Weld) Token(ctx context.Context, token string, id session.ID, b *Bonds, public bool) (pass, foreign bool) {
	c := Cookie{Bearer, token}
	at := w.standing(b, c)
	if at == mine {
		return true, false
	}
	if w.elsewhere(ctx, c, id, at) {
		return false, true
	}
	return public, false
}
