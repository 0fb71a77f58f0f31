package author

import (
	"slices"
	"strings"

	"github.com/stepgate/stepgate/policy"
)

// weakerInside finds rules that ask for less than a subtree around them, and
// rules that forget its groups.
func (l *linter) weakerInside() {
	for _, inner := range l.rules {
		if inner.Pattern().Queried() || inner.Verb() == policy.VerbDeny {
			continue
		}
		for _, outer := range l.around(inner) {
			l.compare(inner, outer)
		}
	}
}

// around lists the rules that would hold where inner does, were it not
// there: of those whose pattern covers its own, the nearest.
func (l *linter) around(inner *policy.Rule) []*policy.Rule {
	var outer []*policy.Rule
	for _, r := range l.rules {
		if !r.Pattern().Queried() && strictly(r.Pattern(), inner.Pattern()) {
			outer = append(outer, r)
		}
	}
	return slices.DeleteFunc(slices.Clone(outer), func(r *policy.Rule) bool {
		return slices.ContainsFunc(outer, func(o *policy.Rule) bool {
			return strictly(r.Pattern(), o.Pattern()) && (len(o.Methods()) == 0 || slices.Equal(o.Methods(), r.Methods()))
		})
	})
}

// strictly tells whether p covers o and more.
func strictly(p, o policy.Pattern) bool { return p.Covers(o) && !o.Covers(p) }

func (l *linter) compare(inner, outer *policy.Rule) {
	var weaker, open []string
	var now effect
	for _, m := range l.methods {
		holding := l.policy.RulesFor(m, l.paths[inner][0])
		if !slices.Contains(holding, inner) || !slices.Contains(l.policy.RulesFor(m, l.paths[outer][0]), outer) {
			continue
		}
		e := together(holding)
		switch {
		case e.weaker(l.policy, together([]*policy.Rule{outer})):
			weaker, now = append(weaker, m), e
		case len(outer.Groups()) > 0 && !e.grouped && !e.deny:
			open = append(open, m)
		}
	}
	if len(weaker) > 0 {
		l.add(CodeWeakerInside, inner.Position(),
			"ask for what the subtree asks for; where less is meant, pin it with an assertion and run lint with --ignore "+CodeWeakerInside,
			"`%s` needs %s%s inside %s", l.written(inner), l.says(now), methodsText(weaker), l.at(outer))
	}
	if len(open) > 0 {
		l.add(CodeGroupLost, inner.Position(), "repeat the `group` line in the block of this rule",
			"`%s` admits everyone%s inside %s, which admits only %s", l.written(inner), methodsText(open), l.at(outer), strings.Join(outer.Groups(), ", "))
	}
}

// unreachable finds rules of which other rules take every path.
func (l *linter) unreachable() {
	for _, r := range l.rules {
		if r.Pattern().Queried() || l.reached(r) {
			continue
		}
		method := l.methods[0]
		if named := r.Methods(); len(named) > 0 {
			method = named[0]
		}
		var winners []string
		for _, path := range l.paths[r] {
			for _, w := range l.policy.RulesFor(method, path) {
				if text := l.at(w); !slices.Contains(winners, text) {
					winners = append(winners, text)
				}
			}
		}
		l.add(CodeUnreachable, r.Position(), "remove it, or make its pattern more specific",
			"no request is ever decided by `%s`: %s beats it everywhere", l.written(r), strings.Join(winners, ", "))
	}
}

func (l *linter) reached(r *policy.Rule) bool {
	for _, m := range l.methods {
		for _, path := range l.paths[r] {
			if slices.Contains(l.policy.RulesFor(m, path), r) {
				return true
			}
		}
	}
	return false
}

// tied finds rules that hold together with another of the same pattern and
// say nothing of their own.
func (l *linter) tied() {
	for i, r := range l.rules {
		for _, other := range l.rules[:i] {
			if !sameRequests(r, other) {
				continue
			}
			if code, useless, useful := l.useless(r, other); code != "" {
				l.add(code, useless.Position(), "remove it", "`%s` says nothing that %s does not say", l.written(useless), l.at(useful))
				break
			}
		}
	}
}

// sameRequests tells whether two rules always hold together.
func sameRequests(a, b *policy.Rule) bool {
	p, q := a.Pattern(), b.Pattern()
	return p.Covers(q) && q.Covers(p) && p.WitnessQuery() == q.WitnessQuery() && slices.Equal(a.Methods(), b.Methods())
}

func (l *linter) useless(later, earlier *policy.Rule) (code string, useless, useful *policy.Rule) {
	plain := func(r *policy.Rule) bool { return len(r.Groups()) == 0 && r.Raised() == 0 }
	a, b := together([]*policy.Rule{later}), together([]*policy.Rule{earlier})
	switch {
	case a.public && b.public, a.deny && b.deny, plain(later) && plain(earlier) && a == b:
		return CodeDuplicate, later, earlier
	case plain(later) && (b.deny || !b.public && !b.weaker(l.policy, a)):
		return CodeAddsNothing, later, earlier
	case plain(earlier) && (a.deny || !a.public && !a.weaker(l.policy, b)):
		return CodeAddsNothing, earlier, later
	default:
		return "", nil, nil
	}
}

// queries finds query rules that ask for what their paths need anyway.
func (l *linter) queries() {
	for _, r := range l.rules {
		if !r.Pattern().Queried() || len(r.Groups()) > 0 || r.Raised() != 0 {
			continue
		}
		if known, adds := l.queryAdds(r); known && !adds {
			l.add(CodeQueryAddsNothing, r.Position(), "remove it, or ask for more",
				"`%s` adds nothing: its path needs that without the query as well", l.written(r))
		}
	}
}

// queryAdds tries the paths of a query rule: its own and those of rules
// inside it. It does not know where another rule only cuts across them.
func (l *linter) queryAdds(r *policy.Rule) (known, adds bool) {
	paths := slices.Clone(l.paths[r])
	for _, other := range l.rules {
		p, q := r.Pattern(), other.Pattern()
		switch {
		case q.Queried() || !p.Overlaps(q) || q.Covers(p):
		case p.Covers(q):
			paths = append(paths, l.paths[other]...)
		default:
			return false, false
		}
	}
	methods := r.Methods()
	if len(methods) == 0 {
		methods = l.methods
	}
	for _, path := range paths {
		for _, m := range methods {
			e := together(l.policy.RulesFor(m, path))
			if r.Verb() == policy.VerbDeny && !e.deny || r.Verb() != policy.VerbDeny && e.adds(l.policy, r.Levels()) {
				return true, true
			}
		}
	}
	return true, false
}

// fallback judges what no rule matches, by what the site means by `mfa`.
func (l *linter) fallback() {
	d := l.policy.Default()
	mfa, ok := l.policy.Level(policy.LevelMFA)
	if !ok || d.Verb() == policy.VerbDeny {
		return
	}
	if e := together([]*policy.Rule{d}); e.weaker(l.policy, effect{levels: mfa.Set()}) {
		l.add(CodeWeakDefault, d.Position(),
			"write `default mfa` and name the paths that need less: what an upgrade of the app adds is then guarded",
			"a path that no rule matches needs only %s", l.says(e))
	}
}
