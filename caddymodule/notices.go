package caddymodule

import (
	"github.com/stepgate/stepgate/factors/delivery"
	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/internal/web"
)

// notices tells people what was done to their accounts in the words of the
// site.
func (h *Handler) notices(r *runtime) *people.Notices {
	return &people.Notices{
		Name: h.gate.Web.Name, Origin: h.Origin, Help: h.gate.Web.Help, Languages: h.languages(), Zone: h.gate.Web.Zone,
		Offers: h.app.tells, Wake: r.outbox.Wake,
	}
}

// notices are those of the first site. A command without a gateway knows of no
// site, and what it tells goes out when the gateway runs again.
func (a *App) notices(r *runtime) *people.Notices {
	for _, site := range a.sites {
		if site.gate.Web != nil {
			return site.notices(r)
		}
	}
	return &people.Notices{Name: "Stepgate", Offers: a.tells, Wake: r.outbox.Wake}
}

// tells tells whether people can be told by a channel.
func (a *App) tells(channel string) bool {
	return (channel == delivery.Email || channel == delivery.SMS) && a.has(channel)
}

// languages are the site's, the default first.
func (h *Handler) languages() []string {
	if len(h.gate.Web.Languages) == 0 {
		return []string{web.DefaultLanguage}
	}
	return h.gate.Web.Languages
}
