package policy

import (
	"slices"
	"strings"
	"time"
)

// RulesFor lists the rules that decide about one path, folded as readings
// are, by one method: those of the most specific pattern, or the default
// alone. Query rules and conditions are not looked at.
func (p *Policy) RulesFor(method, path string) []*Rule {
	first, _ := p.Contest(method, path)
	return first
}

// Contest is RulesFor, and the rules that would decide without those.
func (p *Policy) Contest(method, path string) (first, next []*Rule) {
	var groups [][]*Rule
	p.contest([]spot{0}, walk(path), p.methodIndex(asked(method)), &groups)
	groups = append(groups, []*Rule{p.Default()}, nil)
	return groups[0], groups[1]
}

// contested is how many groups of rules a contest is about.
const contested = 2

// contest walks as evaluation.best does, and keeps the rules, until it has
// enough of them.
func (p *Policy) contest(nodes []spot, path rest, method int, groups *[][]*Rule) {
	if path.done {
		p.ending(nodes, method, false, groups)
		p.ending(nodes, method, true, groups)
		return
	}
	segment, after := path.next()
	for _, next := range [][]spot{p.paths.literals(nodes, segment, nil), p.paths.globs(nodes, segment, nil), p.paths.frees(nodes, nil)} {
		if len(next) > 0 && len(*groups) < contested {
			p.contest(next, after, method, groups)
		}
	}
	p.ending(nodes, method, true, groups)
}

// ending keeps the rules of patterns that end at nodes: those that hold, and
// behind them those that name no method, where the first do.
func (p *Policy) ending(nodes []spot, method int, subtree bool, groups *[][]*Rule) {
	var named, unnamed []*Rule
	for _, n := range nodes {
		stop := p.paths.stop(n, subtree)
		switch {
		case stop.kind == 0:
			continue
		case stop.kind < several:
			named = append(named, &p.rules[stop.rule])
			continue
		}
		at := &p.paths.endpoints[stop.kind-several]
		ruling := at.ruling(method)
		switch {
		case ruling == nil:
		case ruling == &at.unnamed:
			named = append(named, ruling.rules...)
		default:
			named = append(named, ruling.rules...)
			unnamed = append(unnamed, at.unnamed.rules...)
		}
	}
	for _, group := range [][]*Rule{named, unnamed} {
		if len(group) > 0 && len(*groups) < contested {
			*groups = append(*groups, group)
		}
	}
}

// WeakerThan is Weaker for a set of this policy's levels and one of another
// policy's: what two versions of a configuration are compared by. Levels of
// one name and one meaning are the same. A level that only here has `once` is
// met by proofs that are as good as what it is without: to ask again for each
// request is nothing that somebody could pass by.
func (p *Policy) WeakerThan(a LevelSet, other *Policy, b LevelSet) bool {
	joint, ok := join(p, a, other, b)
	return !ok || joint.weaker(joint.mine, joint.theirs, joint.asWell)
}

// joint is a policy that only compares sets of levels of two others.
type joint struct {
	Policy
	mine, theirs LevelSet
	// asWell names the level that proofs for one with `once` may meet as well.
	asWell map[string]string
}

// join is not ok for more levels than a policy can have.
func join(p *Policy, a LevelSet, other *Policy, b LevelSet) (*joint, bool) {
	const my, their = "a ", "b "
	j := &joint{asWell: map[string]string{}}
	j.mine, j.theirs = j.adopt(p, a, my), j.adopt(other, b, their)
	for _, l := range j.levels {
		if name, mine := strings.CutPrefix(l.name, my); mine && l.once {
			j.asWell[l.name] = their + name
		}
	}
	return j, len(j.levels) <= maxLevels
}

// adopt adds the levels of a set to a policy that only compares, under names
// that no policy has.
func (p *Policy) adopt(from *Policy, set LevelSet, prefix string) LevelSet {
	var adopted LevelSet
	for _, l := range from.levels {
		if l.set&set == 0 {
			continue
		}
		same := slices.IndexFunc(p.levels, func(o *Level) bool { return o.means(l) && o.name[len(prefix):] == l.name })
		if same >= 0 {
			adopted |= p.levels[same].set
			continue
		}
		renamed := *l
		renamed.name = prefix + l.name
		adopted |= p.addLevel(&renamed)
	}
	return adopted
}

// MetBy returns the levels that somebody meets who has signed in with a
// password and has just proved these factors, each by a credential of its
// own: what a forecast reckons with.
func (p *Policy) MetBy(factors []Factor) LevelSet {
	now := time.Unix(1<<40, 0)
	proofs := []Proof{{Factor: Password, At: now}}
	for i, f := range factors {
		proofs = append(proofs, Proof{Factor: f, Credential: string(f) + strings.Repeat("+", i), At: now, BoundBy: []Factor{TOTP}})
	}
	return p.Met(proofs, true, now)
}
