package caddymodule

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/stepgate/stepgate/challenge"
)

// This file is for sites that let another one sign people in (sign_in_at).

// siteAt is the configuration's site of an origin, nil where there is none: it
// may be another node's.
func (a *App) siteAt(origin string) *Handler {
	for _, site := range a.sites {
		if site.Origin == origin {
			return site
		}
	}
	return nil
}

// join makes another site the one way to sign in.
func (h *Handler) join(site *challenge.Site) error {
	prefix := h.Prefix
	if at := h.app.siteAt(h.SignInAt); at != nil {
		if at.SignInAt != "" {
			return fmt.Errorf("sign_in_at %s: that site signs nobody in itself; name %s", h.SignInAt, at.SignInAt)
		}
		prefix = at.Prefix
		if rp := at.RelyingParty; rp != nil && h.RelyingParty == nil && within(h.Origin, rp.ID) {
			site.RelyingParty.ID = rp.ID
		}
	}
	site.Place.Sources = []string{challenge.JoinSource}
	site.Redirectors = append(site.Redirectors, &challenge.Join{
		From: h.Origin, At: h.SignInAt, Page: challenge.HandOverPage(h.SignInAt, prefix), Sealer: site.Sealer, Now: time.Now,
	})
	return nil
}

// within tells whether an origin's host is a domain or below it (WebAuthn
// §5.1.2).
func within(origin, domain string) bool {
	u, err := url.Parse(origin)
	return err == nil && (u.Hostname() == domain || strings.HasSuffix(u.Hostname(), "."+domain))
}
