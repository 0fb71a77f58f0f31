package selfservice

import (
	"slices"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/policy"
)

// asked are the levels that paths of this site, the organisation and the
// person ask of an account.
func (s *Site) asked(owner session.Owner) policy.LevelSet {
	set := s.Policy.Default().Levels()
	for _, raise := range s.Policy.Raises() {
		set |= raise.Level
	}
	for _, rule := range s.Policy.Rules() {
		if reaches(rule, owner.Account) {
			set |= rule.Levels() | rule.Raised()
		}
	}
	required, err := s.Policy.Required(owner.Requires())
	if err != nil {
		return ^policy.LevelSet(0) // nothing is allowed then, and nothing taken away
	}
	return set | required
}

// reaches tells whether a rule is for this person at all.
func reaches(rule *policy.Rule, a account.Account) bool {
	if len(rule.Groups())+len(rule.Users()) == 0 {
		return true
	}
	return slices.ContainsFunc(rule.Groups(), func(g string) bool { return slices.Contains(a.Groups, g) }) ||
		slices.Contains(rule.Users(), account.FoldUsername(a.Username))
}

// reach are the levels of a set that somebody with these credentials can meet.
// Codes for the day on which nothing else is at hand do not count: they run
// out.
func (s *Site) reach(set policy.LevelSet, held []account.Credential) policy.LevelSet {
	now := s.Now()
	proofs := []policy.Proof{{Factor: policy.Password, At: now}}
	for _, c := range held {
		if f := policy.Factor(c.Factor); !f.Fallback() {
			p := policy.Proof{Factor: f, Credential: string(c.ID), At: now, UserVerified: true}
			for _, by := range c.BoundBy {
				p.BoundBy = append(p.BoundBy, policy.Factor(by))
			}
			proofs = append(proofs, p)
		}
	}
	met := s.Policy.Met(proofs, true, now)
	const once = "any"
	for _, level := range s.Policy.Levels() {
		if level.Set()&s.Policy.OnceLevels()&set == 0 {
			continue
		}
		forOnce := slices.Clone(proofs)
		for i := range forOnce {
			forOnce[i].Once = once
		}
		met |= s.Policy.MetOnce(level.Set(), forOnce, true, now, once) & level.Set()
	}
	return met & set
}

// needed is people.Needed: the levels that are asked of somebody and that they
// could no longer meet.
func (s *Site) needed(require string) func(a account.Account, held, left []account.Credential) []string {
	return func(a account.Account, held, left []account.Credential) []string {
		set := s.asked(session.Owner{Account: a, Require: require})
		return s.Policy.LevelNames(s.reach(set, held) &^ s.reach(set, left))
	}
}

// enforced tells whether a second factor is asked for whatever the person
// wants: by the organisation, or everywhere on this site.
func (s *Site) enforced(owner session.Owner) bool {
	if owner.Require != "" && owner.Require != policy.LevelSignedIn {
		return true
	}
	alone := s.Policy.MetBy(nil)
	if s.Policy.Default().Levels()&^alone == 0 && s.Policy.Default().Verb() == policy.VerbRequire {
		return false
	}
	return !slices.ContainsFunc(s.Policy.Rules(), func(r *policy.Rule) bool {
		return r.Verb() == policy.VerbRequire && r.Levels()&^alone == 0
	})
}

// holdsSecond tells whether the person holds a second factor.
func holdsSecond(held []account.Credential) bool {
	return slices.ContainsFunc(held, func(c account.Credential) bool { return policy.Factor(c.Factor).Possession() })
}

// meetsMFA tells whether what the person holds meets the built-in level.
func (s *Site) meetsMFA(held []account.Credential) bool {
	set, err := s.Policy.Required([]string{policy.LevelMFA})
	return err == nil && s.reach(set, held) == set
}

// provedSecond tells whether the session has proved a second factor.
func provedSecond(v *session.Entry) bool {
	return slices.ContainsFunc(v.Session.Proofs, func(p policy.Proof) bool { return p.Factor.Possession() || p.Factor.Fallback() })
}

// tokensCount tells whether any level of the site names tokens.
func (s *Site) tokensCount() bool {
	return slices.ContainsFunc(s.Policy.Levels(), func(l *policy.Level) bool {
		return slices.ContainsFunc(l.Alternatives(), func(a []policy.Factor) bool { return slices.Contains(a, policy.Token) })
	})
}
