package web

import (
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"strings"
)

// permissions leaves pages what they use and switches off what they do not.
const permissions = "publickey-credentials-get=(self), publickey-credentials-create=(self), clipboard-write=(self), " +
	"camera=(), geolocation=(), microphone=(), payment=(), usb=()"

// varies is what the choice between a page, a problem document and their
// languages depends on.
const varies = "Cookie, Sec-Fetch-Mode, Sec-Fetch-Dest, Accept, Accept-Language"

// Who may frame a page (CSP3 §6.4.2).
const (
	framedByNone = "'none'"
	framedBySelf = "'self'"
)

// Harden sets the headers that every answer of the gateway itself carries,
// whatever its kind: never stored, never sniffed, never framed, never read from
// another origin. Render, Problem.Write and Redirect call it; handlers that
// write JSON of their own do so too.
func Harden(h http.Header, site *Site) {
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", permissions)
	// Not no-referrer: browsers would send "Origin: null" with our forms.
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Vary", varies)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	if site.HSTS != "" {
		h.Set("Strict-Transport-Security", site.HSTS)
	}
}

// pagePolicy lets through the scripts and styles that carry this answer's
// nonce and no others: not even another script of the same origin, which is
// the application's and may be anybody's upload.
func pagePolicy(site *Site, nonce, ancestors string) string {
	targets := append([]string{"'self'"}, site.FormTargets...)
	directives := []string{
		"default-src 'none'",
		"script-src 'nonce-" + nonce + "'",
		"style-src 'nonce-" + nonce + "'",
		"img-src 'self' data:",
		"connect-src 'self'",
		"form-action " + strings.Join(targets, " "),
		"frame-ancestors " + ancestors,
		"base-uri 'none'",
		"object-src 'none'",
	}
	if site.Reports {
		directives = append(directives, "report-uri "+site.Path(ReportsPath))
	}
	return strings.Join(directives, "; ")
}

func newNonce() string {
	var b [16]byte
	rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}
