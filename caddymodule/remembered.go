package caddymodule

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/stepgate/stepgate/challenge"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/device"
	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/policy/risk"
)

// memory is what is remembered of an account for risk, as the store keeps it
// sealed.
type memory struct {
	Visits   []risk.Visit        `json:"visits,omitempty"`
	Browsers []device.Remembered `json:"browsers,omitempty"`
}

func recall(kept account.Secret) (m memory, err error) {
	if len(kept) > 0 {
		err = json.Unmarshal(kept.Reveal(), &m)
	}
	return m, err
}

func (m memory) sealed() (account.Secret, error) {
	text, err := json.Marshal(m)
	return account.Secret(text), err
}

// remember alters what is remembered of an account. What cannot be read is
// begun anew rather than never again; what cannot be kept is unusual again next
// time.
func (s scorer) remember(ctx context.Context, owner account.ID, change func(*memory)) {
	err := s.r.store.KeepVisits(ctx, owner, func(kept account.Secret) (account.Secret, error) {
		m, err := recall(kept)
		if err != nil {
			m = memory{}
		}
		change(&m)
		return m.sealed()
	})
	if err != nil && !errors.Is(err, account.ErrNotFound) {
		s.r.log.Error("remember where an account was", zap.Error(err))
	}
}

// Believe implements challenge.Scorer.
func (s scorer) Believe(ctx context.Context, b challenge.Belief) (turn uint64) {
	place, now := s.app.place(b.Address), time.Now().UTC()
	s.remember(ctx, b.Account, func(m *memory) {
		m.Visits = risk.Remember(m.Visits, risk.Visit{At: now, Network: risk.Network(b.Address, place), Place: place})
		if b.Proved {
			m.Browsers, turn = device.Proved(m.Browsers, b.Browser, device.Name(b.UserAgent), b.Site, now)
		}
	})
	return turn
}

// Forget implements challenge.Scorer.
func (s scorer) Forget(ctx context.Context, owner account.ID, browser device.Shown) {
	kept, err := s.r.store.Visits(ctx, owner)
	if m, recalled := recall(kept); err == nil && recalled == nil {
		if found, ok := device.Find(m.Browsers, browser); ok {
			s.remember(ctx, owner, func(m *memory) { m.Browsers = device.Without(m.Browsers, found.ID) })
		}
	}
}

// recognise is when a second factor was last proved in a browser that is
// remembered, and what it has to show from now on. Of a browser of which there
// are two, neither is any more.
func (s scorer) recognise(ctx context.Context, v challenge.Visit) (provedAt time.Time, turn uint64) {
	kept, err := s.r.store.Visits(ctx, v.Account)
	m, recalled := recall(kept)
	found, ok := device.Find(m.Browsers, v.Browser)
	if err != nil || recalled != nil || !ok {
		return time.Time{}, 0
	}
	switch found.Recognise(v.Browser) {
	case device.Familiar:
		if v.Begins {
			s.remember(ctx, v.Account, func(m *memory) { m.Browsers, turn = device.SignedIn(m.Browsers, v.Browser, time.Now().UTC()) })
		}
		return found.ProvedAt, turn
	case device.Copied:
		if v.Begins { // else a request that was on its way
			own := people.Own{Account: v.Account, Site: v.Site, From: people.Whence{Address: v.Address.String(), Place: s.app.whereIs(v.Address)}}
			if err := s.r.people.BrowserCopied(ctx, own, found.ID, found.Name); err != nil {
				s.r.log.Error("forget a browser that was copied", zap.Error(err))
			}
		}
	}
	return time.Time{}, 0
}

// life is how long a browser is known after the last second factor.
func (s scorer) life() time.Duration { return cmp.Or(s.app.deviceLife(), device.DefaultLife) }

// rememberedBrowsers implements people.Browsers.
type rememberedBrowsers struct{ life time.Duration }

// List implements people.Browsers.
func (b rememberedBrowsers) List(kept account.Secret, now time.Time) []people.Browser {
	m, err := recall(kept)
	if err != nil {
		return nil // nobody is known by it
	}
	var all []people.Browser
	for _, one := range m.Browsers {
		if ends := one.ProvedAt.Add(b.life); now.Before(ends) {
			all = append(all, people.Browser{ID: one.ID, Name: one.Name, Site: one.Site, ProvedAt: one.ProvedAt, SeenAt: one.SeenAt, EndsAt: ends})
		}
	}
	return all
}

// Forget implements people.Browsers.
func (rememberedBrowsers) Forget(kept account.Secret, id string) (account.Secret, error) {
	m, err := recall(kept)
	switch {
	case err != nil:
		m = memory{}
	case id == "":
		m.Browsers = nil
	default:
		m.Browsers = device.Without(m.Browsers, id)
	}
	return m.sealed()
}

// Interface guards.
var (
	_ challenge.Scorer = scorer{}
	_ people.Browsers  = rememberedBrowsers{}
)
