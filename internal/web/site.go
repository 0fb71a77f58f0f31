package web

import (
	"net/url"
	"slices"
	"strings"
	"time"
)

// DefaultPrefix is where the gateway's pages live unless a site says otherwise.
const DefaultPrefix = "/.stepgate"

// Site is what pages say about the site they stand in front of. It is set once
// and only read afterwards.
type Site struct {
	// Name of the portal, in the header and the title of each page.
	Name string
	// Help is the line at the same place on each page: "Call 0300 000 0000".
	// Empty shows none.
	Help string
	// Origin as browsers write it, scheme, host and perhaps port, no slash at
	// the end. Forms from elsewhere are refused by it; empty refuses them all
	// but those of browsers that send Sec-Fetch-Site.
	Origin string
	// Prefix of all pages, no slash at the end. Empty is DefaultPrefix.
	Prefix string
	// Languages on offer, the default first. Empty is English alone.
	Languages []string
	// Zone is the time zone of the times on pages. Nil is UTC, and says so.
	Zone *time.Location
	// SecureCookies is set where the site is reached by https: cookies then
	// carry the __Host- prefix.
	SecureCookies bool
	// FormTargets are further origins that a form may lead to, redirects
	// included: an issuer's, where sign-in goes there. Browsers hold redirects
	// after a form to the page's form-action (CSP3 §6.4.1).
	FormTargets []string
	// HSTS is the value of Strict-Transport-Security on pages. Empty sends none.
	HSTS string
	// Reports is set where Kit.Reports answers at ReportsPath: browsers then
	// report there what the policy of a page stopped.
	Reports bool
}

// FormsLeadTo tells whether redirects behind a form may lead to an origin that
// is not the site's own.
func (s *Site) FormsLeadTo(origin string) bool {
	scheme, _, _ := strings.Cut(origin, "//")
	return slices.Contains(s.FormTargets, origin) || slices.Contains(s.FormTargets, scheme)
}

// Path gives the address of a page: the prefix and path, which begins with "/".
func (s *Site) Path(path string) string {
	prefix := s.Prefix
	if prefix == "" {
		prefix = DefaultPrefix
	}
	return prefix + path
}

// languages is never empty.
func (s *Site) languages() []string {
	if len(s.Languages) == 0 {
		return []string{DefaultLanguage}
	}
	return s.Languages
}

// SafePath tells whether target is a path on this very site that a browser
// cannot read as another host: it begins with one slash, and neither it nor
// its decoded form hides a second one, a backslash or a control byte.
func SafePath(target string) bool {
	if !plainPath(target) {
		return false
	}
	u, err := url.Parse(target)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || u.Opaque != "" {
		return false
	}
	return plainPath(u.Path)
}

func plainPath(s string) bool {
	if !strings.HasPrefix(s, "/") || strings.HasPrefix(s, "//") {
		return false
	}
	for _, c := range []byte(s) {
		if c < ' ' || c == 0x7f || c == '\\' {
			return false
		}
	}
	return true
}
