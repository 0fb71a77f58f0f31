package challenge

import (
	"net/http"
	"slices"
	"time"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/web"
	"github.com/stepgate/stepgate/policy"
)

// holdings are the credentials of one account as one ceremony sees them.
type holdings struct {
	// all of them by factor, and those that can be proved here and now; the
	// default first, then the last used.
	all, usable map[policy.Factor][]account.Credential
	// order are the factors of usable: that of the default first, then as
	// they were last used.
	order []policy.Factor
}

// holdingsOf reads the holdings of v's account.
func (s *Site) holdingsOf(r *http.Request, v *session.Entry) (holdings, error) {
	all, err := s.Store.Credentials(r.Context(), v.Owner.Account.ID)
	if err != nil {
		return holdings{}, &web.Fail{Status: http.StatusServiceUnavailable, Err: err}
	}
	h := holdings{all: map[policy.Factor][]account.Credential{}, usable: map[policy.Factor][]account.Credential{}}
	scope := s.scope(r, v, "")
	for _, c := range all {
		kind := policy.Factor(c.Factor)
		h.all[kind] = append(h.all[kind], c)
		f := s.Factors.Find(kind)
		if f == nil {
			continue
		}
		if sieve, ok := f.(factors.Sieve); ok && !sieve.Usable(scope, c) {
			continue
		}
		if h.usable[kind] == nil {
			h.order = append(h.order, kind)
		}
		h.usable[kind] = append(h.usable[kind], c)
	}
	return h, nil
}

// seconds are the credentials that are second factors.
func (h holdings) seconds() []account.Credential {
	var all []account.Credential
	for kind, some := range h.all {
		if kind.Possession() {
			all = append(all, some...)
		}
	}
	return all
}

// second tells whether the person holds any second factor.
func (h holdings) second() bool { return len(h.seconds()) > 0 }

// prospects is what a person could still prove, or enrol, and how much nearer
// that brings them.
type prospects struct{ *Site }

// offer is what a challenge puts before the person.
type offer struct {
	// factors would do, in the order in which a page lists them.
	factors []policy.Factor
	// direct is the one whose page is shown at once, where the others are
	// only for those who cannot; empty where there is a choice to make.
	direct policy.Factor
}

// offer lists the factors of which one more proof brings the session nearer
// to what c asks for, and that the person can prove. Empty means that no way
// can be walked to its end.
func (s prospects) offer(v *session.Entry, c ceremony.Continuation, held holdings) offer {
	switch {
	case c.Kind == ceremony.Operate && c.Once == forgottenPIN:
		return offerPIN(held)
	case c.Kind == ceremony.Operate:
		return operations(s).offerOperation(v, held)
	}
	missing := s.missing(v, c)
	ways := walkable(s.ways(missing, v, c), func(f policy.Factor) bool {
		return f == policy.Password && passwordProofs(s).asksPassword(v) || len(s.helpful(v, c, held.usable[f])) > 0
	})
	o := offer{factors: held.sorted(factorsIn(leadingIn(ways)))}
	if slices.Contains(o.factors, policy.DevicePIN) {
		o.direct = policy.DevicePIN // it is this very browser's
		return o
	}
	preferred := slices.DeleteFunc(slices.Clone(ways), func(way []policy.Factor) bool { return slices.ContainsFunc(way, policy.Factor.Fallback) })
	if len(preferred) == 0 {
		preferred = ways
	}
	if len(preferred) == 1 {
		o.direct = held.sorted(leadingIn(preferred)[0])[0]
	}
	return o
}

// helpful are those credentials of one factor with which one more proof would
// bring the session nearer to what c asks for. One that was added on a weaker
// proof may not count yet, and one that was proved already is no second one.
func (s prospects) helpful(v *session.Entry, c ceremony.Continuation, some []account.Credential) []account.Credential {
	return slices.DeleteFunc(slices.Clone(some), func(own account.Credential) bool { return !s.furthers(v, c, own, s.Now()) })
}

// awaited are those that would be helpful if they were not waiting to count.
func (s prospects) awaited(v *session.Entry, c ceremony.Continuation, some []account.Credential) []account.Credential {
	return slices.DeleteFunc(slices.Clone(some), func(own account.Credential) bool {
		if !own.CountsFrom.After(s.Now()) {
			return true
		}
		own.CountsFrom = time.Time{}
		return !s.furthers(v, c, own, s.Now())
	})
}

// furthers tells whether fewer proofs were needed after one with this
// credential.
func (s prospects) furthers(v *session.Entry, c ceremony.Continuation, own account.Credential, now time.Time) bool {
	proof := proofOf(policy.Factor(own.Factor), factors.Verified{Credential: own, UserVerified: true}, now)
	if s.asksOnce(v, c) {
		proof.Once = c.Once
	}
	missing, proofs := s.missing(v, c), proofsFor(v, c)
	after := session.Session{Proofs: slices.Clone(proofs)}
	if addProof(proof)(&after) != nil {
		return false
	}
	left := missing &^ s.Policy.MetOnce(c.Needs, after.Proofs, true, now, c.Once)
	if left == 0 {
		return missing != 0
	}
	shorter := s.Policy.WaysOnce(left, after.Proofs, now, c.Once)
	return slices.ContainsFunc(s.Policy.WaysOnce(missing, proofs, now, c.Once), func(way []policy.Factor) bool {
		at := slices.Index(way, proof.Factor)
		if at < 0 {
			return false
		}
		rest := slices.Delete(slices.Clone(way), at, at+1)
		return slices.ContainsFunc(shorter, func(next []policy.Factor) bool { return slices.Equal(next, rest) })
	})
}

// enrollable lists the factors that the person could enrol to get further.
func (s prospects) enrollable(missing policy.LevelSet, v *session.Entry, c ceremony.Continuation, held holdings) []policy.Factor {
	ways := walkable(s.ways(missing, v, c), func(f policy.Factor) bool {
		_, ok := s.Factors.Enroller(f)
		return ok || f == policy.Password && passwordProofs(s).asksPassword(v) || len(s.helpful(v, c, held.usable[f])) > 0
	})
	can := slices.DeleteFunc(held.sorted(factorsIn(ways)), func(f policy.Factor) bool {
		_, ok := s.Factors.Enroller(f)
		return !ok || len(s.awaited(v, c, held.usable[f])) > 0 || len(s.helpful(v, c, held.usable[f])) > 0
	})
	for _, f := range s.walkedThrough(missing) {
		if slices.Contains(can, f) {
			return []policy.Factor{f}
		}
	}
	return can
}

// walkedThrough are the factors that the enrolment of a missing level walks
// through, in that order (`enrol` in a level); none where the person chooses.
func (s prospects) walkedThrough(missing policy.LevelSet) []policy.Factor {
	var all []policy.Factor
	for _, level := range s.Policy.Levels() {
		if level.Set()&missing == 0 {
			continue
		}
		for _, word := range level.Enrol() {
			all = append(all, policy.Factor(word))
		}
	}
	return all
}

func (s prospects) ways(missing policy.LevelSet, v *session.Entry, c ceremony.Continuation) [][]policy.Factor {
	return s.Policy.WaysOnce(missing, proofsFor(v, c), s.Now(), c.Once)
}

// privateAsksNone tells whether what c lacks would be met on a private device
// without security questions.
func (s prospects) privateAsksNone(v *session.Entry, c ceremony.Continuation) bool {
	return slices.ContainsFunc(s.ways(s.missing(v, c), v, c), func(way []policy.Factor) bool {
		return slices.Contains(way, policy.DevicePIN) && !slices.Contains(way, policy.SecurityQuestions)
	})
}

// walkable are the ways whose factors can all be had.
func walkable(ways [][]policy.Factor, can func(policy.Factor) bool) [][]policy.Factor {
	return slices.DeleteFunc(ways, func(way []policy.Factor) bool {
		return len(way) == 0 || slices.ContainsFunc(way, func(f policy.Factor) bool { return !can(f) })
	})
}

// leadingIn leaves out of each way what is asked for last: a PIN closes a way
// that another factor opens.
func leadingIn(ways [][]policy.Factor) [][]policy.Factor {
	var leading [][]policy.Factor
	for _, way := range ways {
		first := slices.DeleteFunc(slices.Clone(way), func(f policy.Factor) bool { return f == policy.PIN && len(way) > 1 })
		leading = append(leading, first)
	}
	return leading
}

func factorsIn(ways [][]policy.Factor) []policy.Factor {
	var all []policy.Factor
	for _, way := range ways {
		all = append(all, way...)
	}
	return all
}

// sorted lists factors once each: in the person's order, then the strongest
// first. Fallbacks come last whatever was used last.
func (h holdings) sorted(some []policy.Factor) []policy.Factor {
	var out []policy.Factor
	for _, last := range []bool{false, true} {
		for _, f := range append(slices.Clone(h.order), policy.Factors()...) {
			if f.Fallback() == last && slices.Contains(some, f) && !slices.Contains(out, f) {
				out = append(out, f)
			}
		}
	}
	return out
}
