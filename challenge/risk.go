package challenge

import (
	"context"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/device"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/policy"
)

// Scorer says how unusual a session looks, and remembers where those were that
// were believed, and in which browsers a second factor was proved. It never
// fails: what it cannot find out counts as unusual.
type Scorer interface {
	Score(ctx context.Context, v Visit) Score
	// Believe remembers a session, and gives what its browser has to show from
	// now on; 0 leaves it what it has.
	Believe(ctx context.Context, b Belief) (turn uint64)
	// Forget is for a browser that others use as well.
	Forget(ctx context.Context, owner account.ID, browser device.Shown)
}

// Visit is what the ceremonies know of a session that is to be scored.
type Visit struct {
	Account account.ID
	Site    string
	Address netip.Addr
	// Browser is what the browser shows. Begins says that a session begins by
	// it, and that it can be given what to show from now on.
	Browser device.Shown
	Begins  bool
	// ProvedAt is when the session last proved a second factor; zero for never.
	ProvedAt time.Time
	// Failed is how many tries had failed in a row before.
	Failed int
	// BrowserChanged says that the session began in another browser.
	BrowserChanged bool
}

// Score is how unusual a session looks.
type Score struct {
	// Risk is the word of the policy.
	Risk string
	// Detail is what the trail is told of it.
	Detail []audit.Field
	// Turn is what the browser has to show from now on, 0 for what it has.
	Turn uint64
}

// Belief is a session that is believed: its risk is low, or it has proved a
// second factor (Proved), by which its browser is known as well. A browser
// without a name is not remembered.
type Belief struct {
	Account   account.ID
	Site      string
	Address   netip.Addr
	Browser   device.Shown
	UserAgent string
	Proved    bool
}

func (s *Site) belief(r *http.Request, owner account.ID) Belief {
	return Belief{Account: owner, Site: s.Place.Origin, Address: s.Address(r), UserAgent: r.UserAgent()}
}

// Reassess scores a session whose address or browser has changed, once for each
// place and browser, and raises its risk if that is higher. It never lowers it.
// It gives the risk of the session from now on; on an error that is not known.
func (s *Site) Reassess(r *http.Request, v *session.Entry) (policy.Risk, error) {
	now, _ := policy.ParseRisk(v.Session.Risk)
	address, changed := s.Address(r), r.UserAgent() != v.Session.UserAgent
	network := networkOf(address.String())
	if now != policy.RiskUnset && !changed && network == networkOf(v.Session.Address) {
		return now, nil
	}
	around := surroundings{v.Session.ID, network, r.UserAgent()}
	if now != policy.RiskUnset && s.assessed.seen(around) {
		return now, nil
	}
	score := s.Scorer.Score(r.Context(), Visit{
		Account: v.Owner.Account.ID, Site: s.Place.Origin, Address: address, Browser: acquaintances{s}.shown(r, v.Owner.Account.ID), ProvedAt: provedIn(v), BrowserChanged: changed,
	})
	found, _ := policy.ParseRisk(score.Risk)
	if found <= now {
		s.assessed.add(around)
		return now, nil
	}
	e := s.event(r, audit.RiskAssessed, v)
	e.Detail = score.Detail
	if err := s.Recorder.Record(r.Context(), e); err != nil {
		return policy.RiskUnset, err
	}
	if err := s.Sessions.Rescore(r.Context(), v, score.Risk); err != nil {
		return policy.RiskUnset, err
	}
	s.assessed.add(around)
	return found, nil
}

// provedIn is when a session last proved a second factor.
func provedIn(v *session.Entry) (at time.Time) {
	for _, p := range v.Session.Proofs {
		if p.Factor.Possession() && p.At.After(at) {
			at = p.At
		}
	}
	return at
}

// surroundings are where a session is, as far as they are scored.
type surroundings struct {
	session session.ID
	network netip.Prefix
	browser string
}

// assessments remember which surroundings have been scored, so that a line
// with two addresses is not scored at each request.
type assessments struct {
	mu  sync.Mutex
	all map[surroundings]struct{}
}

// maxAssessed bounds them. What is forgotten is scored again.
const maxAssessed = 50000

func (a *assessments) seen(s surroundings) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, ok := a.all[s]
	return ok
}

func (a *assessments) add(s surroundings) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.all == nil || len(a.all) >= maxAssessed {
		a.all = map[surroundings]struct{}{}
	}
	a.all[s] = struct{}{}
}
