package policy

import (
	"slices"
	"strconv"
	"time"
)

// Weaker tells whether a is weaker than b: some set of proofs meets all of a
// and not all of b (contract, section 1). The empty set, which a public path
// needs, is weaker than every other. Two sets may each be weaker than the
// other. It tries the least that meets a in each of its ways, which is work
// that grows with their number: it is for authors, not for requests.
func (p *Policy) Weaker(a, b LevelSet) bool { return p.weaker(a, b, nil) }

// weaker takes the proofs for some levels with `once` for ordinary ones where
// they are to meet another level, by the names of both.
func (p *Policy) weaker(a, b LevelSet, asWell map[string]string) bool {
	if a == 0 {
		return b != 0
	}
	if b&^a == 0 {
		return false
	}
	return slices.ContainsFunc(p.plans(a), func(pl plan) bool { return p.misses(pl, b, asWell) })
}

// plan is a choice of one alternative for each level: the proofs of one way.
type plan []planned

// planned is one proof of a plan, as old as the levels it serves allow.
type planned struct {
	factor Factor
	maxAge time.Duration
	welded bool
	once   string // name of the level with `once` that it is for
}

func (x planned) proof(credential string, now, long time.Time) Proof {
	proof := Proof{Factor: x.factor, Credential: credential, At: long, Once: x.once}
	if x.factor == Password {
		proof.Credential = ""
	}
	if x.maxAge > 0 {
		proof.At = now.Add(-x.maxAge)
	}
	if x.welded {
		proof.BoundBy = []Factor{TOTP}
	}
	return proof
}

// extend chooses each alternative of l for each plan. A proof that a plan has
// already serves l too, and must then be fresh enough for both; proofs for a
// level with `once` serve no other.
func extend(plans []plan, l *Level) []plan {
	var more []plan
	for _, pl := range plans {
		for i := range l.alternatives {
			more = append(more, pl.with(l, &l.alternatives[i]))
		}
	}
	return more
}

func (pl plan) with(l *Level, a *alternative) plan {
	next := slices.Clone(pl)
	served := map[int]bool{}
	once := ""
	if l.once {
		once = l.name
	}
	for _, f := range a.factors {
		at := slices.IndexFunc(next, func(x planned) bool { return x.factor == f && x.once == once })
		for at >= 0 && at < len(next) && (served[at] || next[at].factor != f || next[at].once != once) {
			at++
		}
		if at < 0 || at == len(next) {
			next = append(next, planned{factor: f, once: once})
			at = len(next) - 1
		}
		served[at] = true
		next[at].welded = next[at].welded || a.welded
		if l.maxAge > 0 && (next[at].maxAge == 0 || l.maxAge < next[at].maxAge) {
			next[at].maxAge = l.maxAge
		}
	}
	return next
}

// misses tells whether the plan's proofs leave some of b unmet, in a session
// that began either way: by a password, or by a passkey.
func (p *Policy) misses(pl plan, b LevelSet, asWell map[string]string) bool {
	now := time.Unix(1<<40, 0)
	long := now.AddDate(-100, 0, 0)
	for _, signIn := range []Proof{
		{Factor: Password, At: long},
		{Factor: WebAuthn, Credential: "sign-in", UserVerified: true, At: long},
	} {
		proofs := []Proof{}
		for i, x := range pl {
			proofs = append(proofs, x.proof("credential "+strconv.Itoa(i), now, long))
		}
		if !slices.ContainsFunc(proofs, canSignIn) {
			proofs = append(proofs, signIn)
		}
		met := p.Met(proofs, true, now)
		for _, l := range p.levels {
			own := func(x Proof) bool { return x.Once == l.name }
			if l.once && l.set&b != 0 && slices.ContainsFunc(proofs, own) {
				met |= p.onceMet(l.set, proofs, l.name, now)
			}
			if v := (view{proofs: ordinary(proofs, l.name, asWell), now: now}); !l.once && l.set&b != 0 && v.meets(l) {
				met |= l.set
			}
		}
		if !met.Has(b) {
			return true
		}
	}
	return false
}

// ordinary are proofs with those for ordinary ones that are for a level with
// `once` and as good for the level name.
func ordinary(proofs []Proof, name string, asWell map[string]string) []Proof {
	all := slices.Clone(proofs)
	for i, x := range all {
		if x.Once != "" && asWell[x.Once] == name {
			all[i].Once = ""
		}
	}
	return all
}
