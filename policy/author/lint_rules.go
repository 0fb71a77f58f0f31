package author

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stepgate/stepgate/policy"
	"github.com/stepgate/stepgate/policy/exact"
)

// contests goes through all paths and finds what is lost where one rule
// decides and another one would: a level, a group, a raise. On the way it
// notes which rules ever decide, and which query rules ever add something.
func (l *linter) contests() {
	m := &models{says: map[string]int32{}, methods: l.methods, alone: l.alone}
	one := &model{site: l.site, policy: l.policy, rules: l.rules}
	globs, dirs := l.site.Reader.Scripts()
	for _, g := range globs {
		one.side.Scripts = append(one.side.Scripts, g)
	}
	one.side.ScriptDirs = dirs
	m.table = exact.NewTable(one.side.Scripts)
	m.index(one)
	l.models = m
	found, _ := exact.Walk(m.table, []exact.Side{one.side}, exact.Options{Deep: true}, l.judge)
	lost := map[loss]*lostMethods{}
	var order []loss
	for _, f := range found {
		for _, k := range l.losses(f.Verdict, f.Path) {
			if lost[k] == nil {
				lost[k] = &lostMethods{path: f.Path}
				order = append(order, k)
			}
			addTo(&lost[k].methods, f.Verdict)
		}
	}
	for _, k := range order {
		l.tellLoss(k, lost[k])
	}
}

type lostMethods struct {
	path    string
	methods []string
}

// judge lists the methods by which what decides in a cell may lose something
// of what would decide without it.
func (l *linter) judge(c exact.Cell) []string {
	var methods []string
	here := c.Sides[0]
	last := here.LookUps[len(here.LookUps)-1]
	for i, name := range l.methods {
		first, next := l.models.contest(last, i)
		for _, says := range first {
			l.decides[says] = true
		}
		if len(next) > 0 && len(here.LookUps) == 1 && l.mayLose(first, next) {
			methods = append(methods, name)
		}
		l.added(here, i, first)
	}
	return methods
}

// contest is what rules that decide say, and those that would without them.
func (m *models) contest(look exact.LookUp, method int) (first, next []int32) {
	var groups [][]int32
	for _, tie := range look {
		var named, unnamed []int32
		for _, end := range tie {
			ruling := m.table.End(end).Ruling(method)
			named = append(named, ruling...)
			for _, s := range m.table.End(end) {
				if s.Methods == 0 && !slices.Contains(ruling, s.Says) {
					unnamed = append(unnamed, s.Says)
				}
			}
		}
		for _, group := range [][]int32{named, unnamed} {
			if len(group) > 0 {
				groups = append(groups, group)
			}
		}
	}
	groups = append(groups, nil, nil)
	return groups[0], groups[1]
}

// mayLose is the question of losses, asked of what rules say.
func (l *linter) mayLose(first, next []int32) bool {
	key := fmt.Sprint(first, next)
	answer, known := l.losing[key]
	if !known {
		answer = len(l.compare(l.meant(first), l.meant(next))) > 0
		l.losing[key] = answer
	}
	return answer
}

func (l *linter) meant(says []int32) []*policy.Rule {
	var rules []*policy.Rule
	for _, s := range says {
		rules = append(rules, l.models.meant[s].rule)
	}
	return rules
}

// loss is something that a rule loses of another.
type loss struct {
	code         string
	inner, outer *policy.Rule
	what         string
}

// losses are those at one path by one method.
func (l *linter) losses(method, path string) []loss {
	first, next := l.policy.Contest(method, path)
	if len(next) == 0 || next[0] == l.policy.Default() {
		return nil
	}
	return l.compare(first, next)
}

// compare tells what rules that hold together lose of others.
func (l *linter) compare(first, next []*policy.Rule) []loss {
	inner, outer := together(first), together(next)
	if inner.deny {
		return nil
	}
	one := func(code, what string) []loss { return []loss{{code, first[0], next[0], what}} }
	if inner.weaker(l.policy, outer) {
		return one(weakerCode(first[0], next[0]), "")
	}
	var list []loss
	if outer.grouped && !narrower(first, next) {
		list = append(list, one(CodeGroupLost, "")...)
	}
	for _, r := range next {
		for _, a := range r.Raises() {
			if !inner.public && inner.adds(l.policy, a.Level) && !raisesToo(first, a) {
				list = append(list, one(CodeRaiseLost, raiseText(l.policy, a))...)
			}
		}
	}
	return list
}

// weakerCode names a weakening by how the two patterns lie to each other.
func weakerCode(inner, outer *policy.Rule) string {
	a, b := inner.Pattern(), outer.Pattern()
	switch {
	case a.Covers(b) && b.Covers(a):
		return CodeWeakerMethod
	case b.Covers(a):
		return CodeWeakerInside
	default:
		return CodeCrossing
	}
}

// narrower tells whether somebody whom the others keep out is kept out by
// these too: each of their groups and people may pass one of the others.
func narrower(first, next []*policy.Rule) bool {
	return !slices.ContainsFunc(next, func(o *policy.Rule) bool {
		return len(o.Groups())+len(o.Users()) > 0 && !slices.ContainsFunc(first, func(r *policy.Rule) bool {
			return len(r.Groups())+len(r.Users()) > 0 && within(r.Groups(), o.Groups()) && within(r.Users(), o.Users())
		})
	})
}

func within(a, b []string) bool {
	return !slices.ContainsFunc(a, func(s string) bool { return !slices.Contains(b, s) })
}

func raisesToo(rules []*policy.Rule, a policy.Raise) bool {
	return slices.ContainsFunc(rules, func(r *policy.Rule) bool {
		return slices.ContainsFunc(r.Raises(), func(o policy.Raise) bool {
			return o.Level.Has(a.Level) && conditionsText(o) == conditionsText(a)
		})
	})
}

func conditionsText(a policy.Raise) string {
	var texts []string
	for _, c := range a.Conditions {
		texts = append(texts, conditionText(c))
	}
	slices.Sort(texts)
	return strings.Join(texts, " and ")
}

func raiseText(p *policy.Policy, a policy.Raise) string {
	return "raise " + strings.Join(p.LevelNames(a.Level), " ") + " when " + conditionsText(a)
}

func (l *linter) tellLoss(k loss, at *lostMethods) {
	methods, shown := methodsText(at.methods), methodShown(at.methods)+" "+rawPath(at.path)
	add := func(mend, text string, args ...any) { l.add(k.code, k.inner.Position(), mend, text, args...) }
	says := l.says(together([]*policy.Rule{k.inner}))
	accept := "; where less is meant, say so in a comment on the line: `# lint: ok " + k.code + ": REASON`"
	switch k.code {
	case CodeWeakerInside:
		add("ask for what the subtree asks for"+accept, "`%s` needs %s%s inside %s", l.written(k.inner), says, methods, l.at(k.outer))
	case CodeCrossing:
		add("write a rule for where the two patterns cross"+accept,
			"`%s` crosses %s and beats it: %s needs only %s", l.written(k.inner), l.at(k.outer), shown, says)
	case CodeWeakerMethod:
		add("ask for as much by this method"+accept, "`%s` needs only %s%s, less than %s, which it beats there", l.written(k.inner), says, methods, l.at(k.outer))
	case CodeGroupLost:
		who := strings.Join(append(k.outer.Groups(), k.outer.Users()...), ", ")
		add("repeat the `group` and `user` lines in the block of this rule"+accept,
			"`%s` admits %s%s inside %s, which admits only %s", l.written(k.inner), l.admitted(k.inner), methods, l.at(k.outer), who)
	case CodeRaiseLost:
		add("repeat the `raise` in the block of this rule, or raise for the whole policy"+accept,
			"`%s` loses `%s`%s, which stands in the block of %s: %s is never raised", l.written(k.inner), k.what, methods, l.at(k.outer), shown)
	}
}

func (l *linter) admitted(r *policy.Rule) string {
	if len(r.Groups())+len(r.Users()) == 0 {
		return "everyone"
	}
	return strings.Join(append(r.Groups(), r.Users()...), ", ")
}

func methodShown(methods []string) string {
	for _, m := range methods {
		if m != otherMethod {
			return m
		}
	}
	return "GET"
}

// added notes which query rules add something to what their paths need.
func (l *linter) added(here exact.Here, method int, first []int32) {
	base := []*policy.Rule{l.policy.Default()}
	if len(first) > 0 {
		base = l.meant(first)
	}
	e := together(base)
	for _, end := range here.Queries {
		for _, s := range l.models.table.End(end) {
			if l.addsQuery[s.Says] || s.Methods != 0 && s.Methods&(1<<method) == 0 {
				continue
			}
			r := l.models.meant[s.Says].rule
			if r.Verb() == policy.VerbDeny && !e.deny || r.Verb() != policy.VerbDeny && e.adds(l.policy, r.Levels()) {
				l.addsQuery[s.Says] = true
			}
		}
	}
}

// unreachable finds rules of which other rules take every path, and query
// rules that ask for what their paths need anyway.
func (l *linter) unreachable() {
	for _, r := range l.rules {
		says := l.models.sayingOf(&model{policy: l.policy}, r)
		switch {
		case r.Pattern().Queried():
			if len(r.Groups())+len(r.Users()) == 0 && r.Raised() == 0 && !l.addsQuery[says] {
				l.add(CodeQueryAddsNothing, r.Position(), "remove it, or ask for more",
					"`%s` adds nothing: its path needs that without the query as well", l.written(r))
			}
		case !l.decides[says]:
			method := l.methods[0]
			if named := r.Methods(); len(named) > 0 {
				method = named[0]
			}
			var winners []string
			for _, path := range l.pathsOf(r) {
				for _, w := range l.policy.RulesFor(method, path) {
					addTo(&winners, l.at(w))
				}
			}
			l.add(CodeUnreachable, r.Position(), "remove it, or make its pattern more specific",
				"no request is ever decided by `%s`: %s beats it everywhere", l.written(r), strings.Join(winners, ", "))
		}
	}
}

// tied finds rules that hold together with another of the same pattern and
// say nothing of their own.
func (l *linter) tied() {
	same := map[string][]*policy.Rule{}
	for _, r := range l.rules {
		key := patternKey(r)
		for _, other := range same[key] {
			if code, useless, useful := l.useless(r, other); code != "" {
				l.add(code, useless.Position(), "remove it", "`%s` says nothing that %s does not say", l.written(useless), l.at(useful))
				break
			}
		}
		same[key] = append(same[key], r)
	}
}

// patternKey is the same for rules that always hold together.
func patternKey(r *policy.Rule) string {
	p := r.Pattern()
	return fmt.Sprintf("%q %v %v %q %q", p.Parts(), p.Subtree(), p.Slash(), p.Terms(), r.Methods())
}

func (l *linter) useless(later, earlier *policy.Rule) (code string, useless, useful *policy.Rule) {
	plain := func(r *policy.Rule) bool { return len(r.Groups())+len(r.Users()) == 0 && r.Raised() == 0 }
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
