package policy

import (
	"cmp"
	"slices"
	"time"
)

// Ways lists which factors, proved next, would meet all the missing levels
// together with the proofs that are there: what a challenge may offer. No
// way contains another. Shorter ways come first, then those that begin with
// a stronger factor, in the order of Factors. An empty way says that nothing
// beyond the sign-in is needed.
//
// A factor that is named twice needs two credentials. Levels with `once` need
// proofs of their own, made for the request: their factors are added to each
// way and not shared with other levels. Ways counts no such proof as there;
// WaysOnce does.
//
// Whether a person's credential would count is another question: CountsFor.
func (p *Policy) Ways(missing LevelSet, proofs []Proof, now time.Time) [][]Factor {
	return p.WaysOnce(missing, proofs, now, "")
}

// WaysOnce is Ways for a request by its identity (Request.Once): proofs that
// were made for it count towards levels with `once`.
func (p *Policy) WaysOnce(missing LevelSet, proofs []Proof, now time.Time, once string) [][]Factor {
	ways := [][]Factor{{}}
	ordinary, bound := view{proofs: proofs, now: now}, view{proofs: proofs, now: now, once: once}
	for _, l := range p.levels {
		switch {
		case l.set&missing == 0 || len(l.alternatives) == 0:
		case l.once:
			ways = combine(ways, bound.lacking(l), sum)
		default:
			ways = combine(ways, ordinary.lacking(l), both)
			ordinary.n = 0
		}
	}
	return ways
}

// CountsFor returns the levels towards which a proof would count at now, in a
// session with these other proofs: those that name its factor and for which
// it is fresh, bound and verified enough. A challenge asks with a proof that
// it has made up from a credential, to offer only what helps.
func (p *Policy) CountsFor(proof Proof, proofs []Proof, now time.Time) LevelSet {
	v := view{proofs: append(slices.Clone(proofs), proof), now: now}
	var set LevelSet
	for _, l := range p.levels {
		v.once = ""
		v.proofs[len(proofs)].Once = ""
		if l.once {
			v.once = "asked"
			v.proofs[len(proofs)].Once = v.once
		}
		for i := range l.alternatives {
			a := &l.alternatives[i]
			if slices.Contains(a.factors, proof.Factor) && v.counts(l, a, len(proofs)) {
				set |= l.set
			}
		}
	}
	return set
}

// lacking returns for each alternative of l the factors still to be proved.
// The proofs that are there for the alternative that lacks least stay picked,
// so that no other level with `once` counts them as well.
func (v *view) lacking(l *Level) [][]Factor {
	var list [][]Factor
	first, best := v.n, *v
	least := maxTogether + 1
	for i := range l.alternatives {
		v.n = first
		lacks := v.lackingOf(l, &l.alternatives[i], first)
		if len(lacks) < least {
			least, best = len(lacks), *v
		}
		list = append(list, lacks)
	}
	*v = best
	return minimal(list)
}

func (v *view) lackingOf(l *Level, a *alternative, first int) []Factor {
	lacks := []Factor{}
	for _, f := range a.factors {
		at := 0
		for at < len(v.proofs) && (v.proofs[at].Factor != f || !v.counts(l, a, at) || v.taken(at, first)) {
			at++
		}
		if at == len(v.proofs) || v.n == maxPicked {
			lacks = append(lacks, f)
			continue
		}
		v.picked[v.n] = at
		v.n++
	}
	return lacks
}

func combine(ways, more [][]Factor, merge func(a, b []Factor) []Factor) [][]Factor {
	var list [][]Factor
	for _, a := range ways {
		for _, b := range more {
			list = append(list, merge(a, b))
		}
	}
	return minimal(list)
}

// both has each factor as often as the one of a and b that has it more often:
// a proof may serve two levels.
func both(a, b []Factor) []Factor {
	all := slices.Clone(a)
	for i, f := range b {
		if count(b[:i+1], f) > count(a, f) {
			all = append(all, f)
		}
	}
	return sorted(all)
}

func sum(a, b []Factor) []Factor { return sorted(append(slices.Clone(a), b...)) }

func sorted(way []Factor) []Factor {
	slices.SortFunc(way, func(a, b Factor) int { return cmp.Compare(strength(a), strength(b)) })
	return way
}

// strength is a factor's place in Factors.
func strength(f Factor) int {
	return slices.IndexFunc(natures, func(n nature) bool { return n.factor == f })
}

// minimal drops ways that contain another, and sorts the rest.
func minimal(ways [][]Factor) [][]Factor {
	slices.SortStableFunc(ways, func(a, b []Factor) int {
		return cmp.Or(cmp.Compare(len(a), len(b)), slices.CompareFunc(a, b, func(x, y Factor) int {
			return cmp.Compare(strength(x), strength(y))
		}))
	})
	var kept [][]Factor
	for _, way := range ways {
		if !slices.ContainsFunc(kept, func(k []Factor) bool { return containsAll(way, k) }) {
			kept = append(kept, way)
		}
	}
	return kept
}
