package session

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/gorilla/securecookie"

	"github.com/stepgate/stepgate/internal/account"
)

// Reserved tells whether a cookie's name is the gateway's: such cookies never
// reach the upstream and an upstream cannot set them. Letter case does not
// matter, for servers differ in it.
func Reserved(name string) bool {
	if rest, ok := cutPrefixFold(name, "__Host-"); ok {
		name = rest
	}
	rest, ok := cutPrefixFold(name, "stepgate")
	return ok && (rest == "" || rest[0] == '-' || rest[0] == '_')
}

func cutPrefixFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}

// CookieName is the session cookie's name at an origin (rfc6265bis §4.1.3.2:
// browsers take a name with that prefix only with Secure, from this very host
// and for all of it): `__Host-stepgate`,
// plain on plain http. Browsers do not tell ports apart, so an unusual port
// is part of the name.
func CookieName(secure bool, port string) string {
	name := "stepgate"
	if secure {
		name = "__Host-stepgate"
	}
	if port != "" {
		name += "-" + port
	}
	return name
}

// cookieValue finds the one cookie called name without allocating. Two of
// them count as none: which one an honest browser meant cannot be known, for
// the order of cookies says nothing (RFC 6265bis §5.7).
func cookieValue(h http.Header, name string) string {
	found := ""
	for _, line := range h["Cookie"] {
		for line != "" {
			var part string
			part, line, _ = strings.Cut(line, ";")
			part = strings.TrimSpace(part)
			value, ok := strings.CutPrefix(part, name)
			if !ok || value == "" || value[0] != '=' {
				continue
			}
			if found != "" {
				return ""
			}
			found = value[1:]
		}
	}
	return found
}

// codecs seal identifiers under every key of the ring, the newest first.
func codecs(pairs [][]byte) []securecookie.Codec {
	out := securecookie.CodecsFromPairs(pairs...)
	for _, c := range out {
		// The limits are the server's; a cookie has none of its own.
		c.(*securecookie.SecureCookie).MaxAge(0).SetSerializer(securecookie.NopEncoder{})
	}
	return out
}

func (m *Manager) seal(name string, id Identifier) (string, error) {
	return securecookie.EncodeMulti(name, id[:], *m.codecs.Load()...)
}

func (m *Manager) unseal(name, value string) (Identifier, bool) {
	var raw []byte
	var id Identifier
	if len(value) > 512 || securecookie.DecodeMulti(name, value, &raw, *m.codecs.Load()...) != nil || len(raw) != len(id) {
		return id, false
	}
	copy(id[:], raw)
	return id, true
}

// Place is where a session cookie lives: one site.
type Place struct {
	// Origin is the site ("https://portal.example.gov").
	Origin string
	// Cookie is the cookie's name, Secure whether it goes over https only.
	Cookie string
	Secure bool
	// Sources are the sign-in sources that the site has now: a session of
	// another one is nobody's. Nil: any.
	Sources []string
	// Vet looks at each session once more; nil: at none.
	Vet *Vet
}

// Vet is what a configuration asks of sessions that began before it. A session in
// memory is asked about once.
type Vet struct {
	// Refuses tells whether an account's sessions are nobody's here.
	Refuses func(ctx context.Context, owner account.Account) (bool, error)
}

// Admits tells whether a session that began at a source is somebody's here, as the
// site is configured now.
func (p *Place) Admits(ctx context.Context, e *Entry, source string) (bool, error) {
	if p.Sources != nil && !slices.Contains(p.Sources, source) {
		return false, nil
	}
	if p.Vet == nil || e.vetted.Load() == p.Vet {
		return true, nil
	}
	refused, err := p.Vet.Refuses(ctx, e.Owner.Account)
	if err != nil {
		return false, fmt.Errorf("%w: %w", ErrStore, err)
	}
	if !refused {
		e.vetted.Store(p.Vet)
	}
	return !refused, nil
}

// SetCookie gives the browser a session's identifier: for this host alone, out
// of reach of scripts, gone with the browser (SP 800-63B-4 §5.1.1). The name's
// prefix asks for Secure, Path=/ and no Domain (RFC 6265bis §4.1.3).
func (p Place) SetCookie(w http.ResponseWriter, value string) {
	http.SetCookie(w, &http.Cookie{Name: p.Cookie, Value: value, Path: "/", Secure: p.Secure, HttpOnly: true, SameSite: http.SameSiteLaxMode})
}

// ClearCookie takes it away.
func (p Place) ClearCookie(w http.ResponseWriter) {
	http.SetCookie(w, &http.Cookie{Name: p.Cookie, Path: "/", MaxAge: -1, Secure: p.Secure, HttpOnly: true, SameSite: http.SameSiteLaxMode})
}
