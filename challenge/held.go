package challenge

import (
	"net/http"
	"slices"

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

// held reads the holdings of v's account.
func (s *Site) held(r *http.Request, v *session.Entry) (holdings, error) {
	kept, err := s.Store.Credentials(r.Context(), v.Owner.Account.ID)
	if err != nil {
		return holdings{}, &web.Fail{Status: http.StatusServiceUnavailable, Err: err}
	}
	h := holdings{all: map[policy.Factor][]account.Credential{}, usable: map[policy.Factor][]account.Credential{}}
	scope := s.scope(r, v, "")
	for _, c := range kept {
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
func (s *Site) offer(v *session.Entry, c ceremony.Continuation, held holdings) offer {
	if c.Kind == ceremony.Operate {
		return s.offerOperation(v, held)
	}
	missing := s.missing(v, c)
	ways := walkable(s.ways(missing, v, c), func(f policy.Factor) bool {
		return f == policy.Password || s.helps(missing, v, held.usable[f])
	})
	o := offer{factors: held.sorted(factorsIn(ways))}
	preferred := slices.DeleteFunc(slices.Clone(ways), func(way []policy.Factor) bool { return slices.ContainsFunc(way, fallback) })
	if len(preferred) == 0 {
		preferred = ways
	}
	if len(preferred) == 1 {
		o.direct = held.sorted(preferred[0])[0]
	}
	return o
}

// fallback factors are for the day on which nothing else is at hand: a page
// offers them, and asks for none by itself.
func fallback(f policy.Factor) bool { return f == policy.BackupCode || f == policy.TemporaryCode }

// helps tells whether a proof with one of these credentials would count
// towards what is missing: one that was added on a weaker proof may not yet.
func (s *Site) helps(missing policy.LevelSet, v *session.Entry, some []account.Credential) bool {
	return slices.ContainsFunc(some, func(c account.Credential) bool {
		proof := proofOf(policy.Factor(c.Factor), factors.Verified{Credential: c, UserVerified: true}, s.Now())
		return s.Policy.CountsFor(proof, v.Session.Proofs, s.Now())&missing != 0
	})
}

// enrollable lists the factors that the person could enrol to get further.
func (s *Site) enrollable(missing policy.LevelSet, v *session.Entry, c ceremony.Continuation, held holdings) []policy.Factor {
	ways := walkable(s.ways(missing, v, c), func(f policy.Factor) bool {
		_, ok := s.Factors.Enroller(f)
		return ok || s.helps(missing, v, held.usable[f])
	})
	return slices.DeleteFunc(held.sorted(factorsIn(ways)), func(f policy.Factor) bool {
		_, ok := s.Factors.Enroller(f)
		return !ok || len(held.usable[f]) > 0
	})
}

func (s *Site) ways(missing policy.LevelSet, v *session.Entry, c ceremony.Continuation) [][]policy.Factor {
	return s.Policy.WaysOnce(missing, proofsFor(v, c), s.Now(), c.Once)
}

// walkable are the ways whose factors can all be had.
func walkable(ways [][]policy.Factor, can func(policy.Factor) bool) [][]policy.Factor {
	return slices.DeleteFunc(ways, func(way []policy.Factor) bool {
		return len(way) == 0 || slices.ContainsFunc(way, func(f policy.Factor) bool { return !can(f) })
	})
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
			if fallback(f) == last && slices.Contains(some, f) && !slices.Contains(out, f) {
				out = append(out, f)
			}
		}
	}
	return out
}
