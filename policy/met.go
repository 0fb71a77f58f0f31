package policy

import (
	"slices"
	"time"
)

// Met returns the levels that a session's proofs meet at now. Levels with
// `once` are never among them: Decide looks at those. A session that is not
// signed in meets nothing.
//
// A webauthn proof without user verification counts only beside a proof that
// can be the sign-in: `password`, or webauthn with it. So a session that began
// with a passkey keeps that proof when the same key is touched again.
func (p *Policy) Met(proofs []Proof, signedIn bool, now time.Time) LevelSet {
	met, _ := p.MetUntil(proofs, signedIn, now)
	return met
}

// MetUntil is Met, and the moment from which the answer may differ: a proof
// grows too old for a level, or begins to count. Before it, and with the same
// proofs, the set stays as it is. Zero means for as long as the session
// lives. The handler keeps the set and gives it to Decide as Request.Met.
func (p *Policy) MetUntil(proofs []Proof, signedIn bool, now time.Time) (LevelSet, time.Time) {
	var met LevelSet
	var until time.Time
	if !signedIn {
		return met, until
	}
	program := byToken(proofs)
	for _, l := range p.levels {
		if l.once || program && len(l.alternatives) == 0 {
			continue
		}
		v := view{proofs: proofs, now: now}
		if v.meets(l) {
			met |= l.set
			until = sooner(until, v.oldest(l))
		}
	}
	for i := range proofs {
		if starts := proofs[i].CountsFrom; starts.After(now) {
			until = sooner(until, starts)
		}
	}
	return met, until
}

// byToken tells whether nothing but tokens was proved. A program that sends one
// has not signed in: it meets the levels that name tokens and no other.
func byToken(proofs []Proof) bool {
	return len(proofs) > 0 && !slices.ContainsFunc(proofs, func(p Proof) bool { return p.Factor != Token })
}

func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// onceMet returns those of the levels wanted, all with `once`, that proofs
// made for this very request meet. A proof opens one level only, so that
// levels are looked at together.
func (p *Policy) onceMet(wanted LevelSet, proofs []Proof, request string, now time.Time) LevelSet {
	v := view{proofs: proofs, now: now, once: request}
	var met LevelSet
	if v.meetsEach(p.levels, wanted) {
		return wanted
	}
	for _, l := range p.levels {
		if l.set&wanted != 0 && v.meetsEach(p.levels, met|l.set) {
			met |= l.set
		}
	}
	return met
}

// view is proofs as seen at a moment, for ordinary levels or, with once set,
// for levels with `once` of that request.
type view struct {
	proofs []Proof
	now    time.Time
	once   string
	// picked are the indices of proofs that are taken.
	picked [maxPicked]int
	n      int
}

// maxPicked is how many proofs may be needed together: enough for two levels
// with `once` at the largest alternative.
const maxPicked = 2 * maxTogether

// meets tells whether an alternative of l is met, and leaves its proofs in
// picked.
func (v *view) meets(l *Level) bool {
	return v.meetsEach([]*Level{l}, l.set)
}

// meetsEach tells whether all wanted of levels can be met by different
// proofs.
func (v *view) meetsEach(levels []*Level, wanted LevelSet) bool {
	v.n = 0
	return v.levelsFrom(levels, wanted)
}

func (v *view) levelsFrom(levels []*Level, wanted LevelSet) bool {
	for len(levels) > 0 && levels[0].set&wanted == 0 {
		levels = levels[1:]
	}
	if len(levels) == 0 {
		return true
	}
	l := levels[0]
	if len(l.alternatives) == 0 {
		return v.levelsFrom(levels[1:], wanted)
	}
	for i := range l.alternatives {
		if v.pick(levels, wanted, &l.alternatives[i], 0, v.n) {
			return true
		}
	}
	return false
}

// pick takes a proof for the factor at index i of a, and goes on with the
// next factor, and after the last with the next level. Proofs from index
// first of picked on are of this level: their credentials must differ.
func (v *view) pick(levels []*Level, wanted LevelSet, a *alternative, i, first int) bool {
	if i == len(a.factors) {
		return v.levelsFrom(levels[1:], wanted)
	}
	if v.n == maxPicked {
		return false
	}
	for j := range v.proofs {
		if v.proofs[j].Factor != a.factors[i] || !v.counts(levels[0], a, j) || v.taken(j, first) {
			continue
		}
		v.picked[v.n] = j
		v.n++
		if v.pick(levels, wanted, a, i+1, first) {
			return true
		}
		v.n--
	}
	return false
}

// taken tells whether proof j is taken, or another one of its credential is
// for the same level.
func (v *view) taken(j, first int) bool {
	for at, k := range v.picked[:v.n] {
		if k == j || at >= first && sameCredential(&v.proofs[k], &v.proofs[j]) {
			return true
		}
	}
	return false
}

// sameCredential takes what has no credential of its own, such as `password`,
// as one for each factor.
func sameCredential(a, b *Proof) bool {
	return a.Credential == b.Credential && (a.Credential != "" || a.Factor == b.Factor)
}

// counts tells whether proof j counts for alternative a of l.
func (v *view) counts(l *Level, a *alternative, j int) bool {
	proof := &v.proofs[j]
	switch {
	case l.once != (proof.Once != "") || proof.Once != v.once:
		return false
	case l.maxAge > 0 && v.now.Sub(proof.At) > l.maxAge:
		return false
	case v.now.Before(proof.CountsFrom) && !l.metByFactors(proof.BoundBy):
		return false
	case proof.Factor == WebAuthn && !proof.UserVerified && !slices.ContainsFunc(v.proofs, canSignIn):
		return false
	case proof.Factor == DevicePIN && a.welded && !underSecondFactor(proof.BoundBy):
		return false
	default:
		return true
	}
}

// canSignIn tells whether a proof could be the sign-in of its session.
func canSignIn(p Proof) bool {
	return p.Once == "" && (p.Factor == Password || p.Factor == WebAuthn && p.UserVerified)
}

// underSecondFactor tells whether a soft token made under proofs of these
// factors counts in built-in `mfa`.
func underSecondFactor(factors []Factor) bool {
	for _, f := range factors {
		if f.Possession() && f != DevicePIN {
			return true
		}
	}
	return false
}

// metByFactors tells whether proofs of these factors, each by a credential of
// its own, would meet l. Of a soft token it is not known what it was made
// under, so that it does not count for built-in `mfa`.
func (l *Level) metByFactors(factors []Factor) bool {
	if len(l.alternatives) == 0 {
		return true
	}
	for i := range l.alternatives {
		a := &l.alternatives[i]
		if a.welded && slices.Contains(a.factors, DevicePIN) {
			continue
		}
		if containsAll(factors, a.factors) {
			return true
		}
	}
	return false
}

// containsAll tells whether all holds each of some, as often as some does.
func containsAll(all, some []Factor) bool {
	for _, f := range some {
		if count(all, f) < count(some, f) {
			return false
		}
	}
	return true
}

func count(factors []Factor, f Factor) int {
	n := 0
	for _, other := range factors {
		if other == f {
			n++
		}
	}
	return n
}

// oldest returns when the first of the picked proofs grows too old for l;
// zero for never.
func (v *view) oldest(l *Level) time.Time {
	var end time.Time
	if l.maxAge == 0 {
		return end
	}
	for _, j := range v.picked[:v.n] {
		end = sooner(end, v.proofs[j].At.Add(l.maxAge))
	}
	return end
}
