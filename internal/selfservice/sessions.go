package selfservice

import (
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/stepgate/stepgate/internal/session"
)

// sessionRow is a session as its owner sees it.
type sessionRow struct {
	ID string
	// Browser and System are names, "" where they are not known.
	Browser, System string
	// Place is where it began: a place, or an address.
	Place     string
	Site      string
	CreatedAt time.Time
	SeenAt    time.Time
	// Here marks the session of this very browser.
	Here bool
}

// sessionRows lists the person's sessions, this one first.
func (s *Site) sessionRows(r *http.Request, at *visit) ([]sessionRow, error) {
	all, err := s.Store.SessionsOf(r.Context(), at.own.Account, s.Now())
	if err != nil {
		return nil, s.unavailable(err)
	}
	rows := []sessionRow{{}}
	for _, one := range all {
		row := sessionRow{ID: string(one.ID), Place: s.placeOf(one.Address), CreatedAt: one.CreatedAt, SeenAt: one.SeenAt, Here: one.ID == at.Session.ID}
		row.Browser, row.System = browserOf(one.UserAgent)
		if one.Site != s.Place.Origin {
			row.Site = one.Site
		}
		if row.Here {
			rows[0] = row
			continue
		}
		rows = append(rows, row)
	}
	if !rows[0].Here { // it has ended meanwhile
		rows = rows[1:]
	}
	return rows, nil
}

// placeOf is where an address is, in words if they are known.
func (s *Site) placeOf(address string) string {
	addr, err := netip.ParseAddr(address)
	if err != nil {
		return ""
	}
	if place := s.where(addr); place != "" {
		return place
	}
	return address
}

// endSessions ends one of the person's sessions, or all others.
func (s *Site) endSessions(w http.ResponseWriter, r *http.Request, at *visit) error {
	if r.Method != http.MethodPost {
		return s.back(w, r, "")
	}
	if at.fields["action"] == "end-others" {
		if err := s.Self.EndOthers(r.Context(), at.own); err != nil {
			return s.told(err)
		}
		s.applied(at.own.Account)
		return s.back(w, r, "others")
	}
	id := session.ID(at.fields["session"])
	err := s.Self.EndSession(r.Context(), at.own, id)
	if errors.Is(err, session.ErrNotFound) {
		return s.refusal(http.StatusNotFound, "gone.title", "gone.advice")
	}
	if err != nil {
		return s.told(err)
	}
	s.Sessions.Apply(session.Change{Kind: session.SessionChanged, Key: string(id)})
	return s.back(w, r, "session")
}

// browsers and systems are looked for in this order: many name others too.
var (
	browsers = [][2]string{
		{"Edg", "Edge"}, {"OPR/", "Opera"}, {"SamsungBrowser", "Samsung Internet"}, {"Firefox", "Firefox"}, {"FxiOS", "Firefox"},
		{"CriOS", "Chrome"}, {"Chrome", "Chrome"}, {"Safari", "Safari"}, {"curl", "curl"},
	}
	systems = [][2]string{
		{"Windows", "Windows"}, {"Android", "Android"}, {"iPhone", "iPhone"}, {"iPad", "iPad"}, {"CrOS", "ChromeOS"}, {"Mac OS X", "macOS"}, {"Linux", "Linux"},
	}
)

// browserOf reads what a browser calls itself, as far as a person would
// recognise it.
func browserOf(userAgent string) (browser, system string) {
	find := func(among [][2]string) string {
		for _, one := range among {
			if strings.Contains(userAgent, one[0]) {
				return one[1]
			}
		}
		return ""
	}
	return find(browsers), find(systems)
}
