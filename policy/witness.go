package policy

import (
	"net/url"
	"slices"
	"strings"
	"time"
)

// Witnesses lists paths, folded as readings are, that of matches and that as
// few as possible of among match: what a star stands for is text that no
// literal and no glob of among fits, and a subtree goes on by up to one
// segment more than the longest of among. Whatever beats of on all of them
// beats it on every path.
func Witnesses(of Pattern, among []Pattern) []string {
	fresh := freshSegment(append(among, of))
	path := ""
	for _, s := range of.segments {
		path += "/" + s.witness(fresh)
	}
	if !of.subtree {
		return []string{rooted(path)}
	}
	longest := len(of.segments)
	for _, p := range among {
		longest = max(longest, len(p.segments))
	}
	paths := []string{rooted(path)}
	for range longest + 1 - len(of.segments) {
		path += "/" + fresh
		paths = append(paths, path)
	}
	return paths
}

func rooted(path string) string {
	if path == "" {
		return "/"
	}
	return path
}

func (s segment) witness(fresh string) string {
	switch s.kind {
	case literal:
		return s.text
	case globbed:
		return s.glob.prefix + fresh + strings.Join(s.glob.middle, fresh) + s.glob.suffix
	default:
		return fresh
	}
}

// freshSegment finds a segment that no literal is and no glob fits.
func freshSegment(among []Pattern) string {
	for _, letter := range "qxzjkvwybfgmpcdhlnrstuaeio0123456789" {
		fresh := strings.Repeat(string(letter), 3)
		if !slices.ContainsFunc(among, func(p Pattern) bool { return p.names(fresh) }) {
			return fresh
		}
	}
	return strings.Repeat("q", 64)
}

// names tells whether a segment of p is text, or a glob that text fits.
func (p Pattern) names(text string) bool {
	return slices.ContainsFunc(p.segments, func(s segment) bool {
		return s.kind == literal && s.text == text || s.kind == globbed && s.glob.matches(text)
	})
}

// WitnessQuery is a query, encoded, that p's query pattern fits; empty where
// p asks for none.
func (p Pattern) WitnessQuery() string {
	var fields []string
	for _, t := range p.query {
		value := t.value.whole
		if t.value.starred {
			value = t.value.glob.prefix + strings.Join(t.value.glob.middle, "") + t.value.glob.suffix
		}
		fields = append(fields, url.QueryEscape(t.name)+"="+url.QueryEscape(value))
	}
	return strings.Join(fields, "&")
}

// Overlaps tells whether some path is matched by p and by o; queries are not
// looked at. Of two globs it says so without looking closer.
func (p Pattern) Overlaps(o Pattern) bool {
	for i := range min(len(p.segments), len(o.segments)) {
		a, b := p.segments[i], o.segments[i]
		switch {
		case a.kind == literal && b.kind == literal && a.text != b.text,
			a.kind == literal && b.kind == globbed && !b.glob.matches(a.text),
			a.kind == globbed && b.kind == literal && !a.glob.matches(b.text):
			return false
		}
	}
	switch {
	case len(p.segments) < len(o.segments):
		return p.subtree
	case len(p.segments) > len(o.segments):
		return o.subtree
	default:
		return true
	}
}

// RulesFor lists the rules that decide about one path, folded as readings
// are, by one method: those of the most specific pattern, or the default
// alone. Query rules and conditions are not looked at.
func (p *Policy) RulesFor(method, path string) []*Rule {
	var found []*Rule
	if !p.decisive([]*node{&p.paths.root}, walk(path), p.methodIndex(asked(method)), &found) {
		found = append(found, p.Default())
	}
	return found
}

// decisive walks as evaluation.best does, and keeps the rules.
func (p *Policy) decisive(nodes []*node, path rest, method int, found *[]*Rule) bool {
	if path.done {
		return ending(nodes, method, false, found) || ending(nodes, method, true, found)
	}
	segment, after := path.next()
	for _, next := range [][]*node{p.paths.literals(nodes, segment, nil), globs(nodes, segment, nil), frees(nodes, nil)} {
		if len(next) > 0 && p.decisive(next, after, method, found) {
			return true
		}
	}
	return ending(nodes, method, true, found)
}

func ending(nodes []*node, method int, subtree bool, found *[]*Rule) bool {
	before := len(*found)
	for _, n := range nodes {
		at := n.exact
		if subtree {
			at = n.subtree
		}
		if at == nil {
			continue
		}
		if ruling := at.ruling(method); ruling != nil {
			*found = append(*found, ruling.rules...)
		}
	}
	return len(*found) > before
}

// WeakerThan is Weaker for a set of this policy's levels and one of another
// policy's: what two versions of a configuration are compared by. Levels of
// one name and one meaning are the same.
func (p *Policy) WeakerThan(a LevelSet, other *Policy, b LevelSet) bool {
	joint := &Policy{}
	mine, theirs := joint.adopt(p, a, "a "), joint.adopt(other, b, "b ")
	if len(joint.levels) > maxLevels {
		return true
	}
	return joint.Weaker(mine, theirs)
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
