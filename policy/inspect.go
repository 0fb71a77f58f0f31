package policy

import (
	"slices"
	"strconv"
	"strings"
)

// This file is what policy/author sees of a compiled policy. Requests do not
// come here.

// Part is one segment of a pattern, folded as readings are.
type Part struct {
	// Pieces are what stands between the stars: one for a literal, none for
	// a free segment.
	Pieces []string
}

// Parts are the pattern's segments, without the subtree's end.
func (p Pattern) Parts() []Part {
	parts := make([]Part, len(p.segments))
	for i, s := range p.segments {
		switch s.kind {
		case literal:
			parts[i].Pieces = []string{s.text}
		case globbed:
			parts[i].Pieces = s.glob.pieces()
		}
	}
	return parts
}

// Subtree tells whether the pattern goes on with the subtree's end, Slash
// whether it ends in a slash.
func (p Pattern) Subtree() bool { return p.subtree }

// Slash tells whether the pattern ends in a slash, and so matches with and
// without it.
func (p Pattern) Slash() bool { return p.slash }

// Term is one `name=glob` of a query pattern.
type Term struct {
	// Name is as written, decoded.
	Name string
	// Pieces are the folded value's, between its stars.
	Pieces []string
}

// Terms are what the pattern asks of the query; none for most patterns.
func (p Pattern) Terms() []Term {
	var terms []Term
	for _, t := range p.query {
		terms = append(terms, Term{t.name, t.value.pieces()})
	}
	return terms
}

func (g *textGlob) pieces() []string {
	if !g.starred {
		return []string{g.whole}
	}
	return g.glob.pieces()
}

func (g *glob) pieces() []string {
	return append(append([]string{g.prefix}, g.middle...), g.suffix)
}

// GlobPieces reads a glob of a `form` condition as the condition does.
func GlobPieces(text string) ([]string, error) {
	g, err := readTextGlob(text, func(text string) (string, error) { return text, nil })
	if err != nil {
		return nil, err
	}
	return g.pieces(), nil
}

// Plain tells whether a rule says nothing beyond its verb and its levels: it
// has neither a block nor a query. One whose `max_age` is in its levels is
// plain.
func (r *Rule) Plain() bool { return r.ruleBlock == &noBlock && !r.pattern.Queried() }

// Raise is a compiled raise.
type Raise struct {
	Level      LevelSet
	Conditions []ConditionConfig
	Pos        Position
}

// Raises lists the raises in the rule's block.
func (r *Rule) Raises() []Raise { return inspected(r.raises) }

// Raises lists those for every path that is not public.
func (p *Policy) Raises() []Raise { return inspected(p.raises) }

func inspected(raises []raise) []Raise {
	var list []Raise
	for i := range raises {
		a := Raise{Level: raises[i].level, Pos: raises[i].pos}
		for j := range raises[i].conditions {
			a.Conditions = append(a.Conditions, raises[i].conditions[j].config)
		}
		list = append(list, a)
	}
	return list
}

// Meaning tells what the levels of a set mean, in words that are the same for
// levels that the same proofs meet, also of other policies.
func (p *Policy) Meaning(set LevelSet) string {
	var words []string
	for _, l := range p.levels {
		if l.set&set != 0 {
			words = append(words, l.meaning())
		}
	}
	slices.Sort(words)
	return strings.Join(slices.Compact(words), "; ")
}

func (l *Level) meaning() string {
	var ways []string
	for _, a := range l.alternatives {
		way := ""
		for _, f := range a.factors {
			way += string(f) + "+"
		}
		ways = append(ways, way+strconv.FormatBool(a.welded))
	}
	slices.Sort(ways)
	text := strings.Join(ways, " ") + " " + l.maxAge.String()
	if l.once {
		text += " once " + l.name
	}
	return text
}

// Sufficient lists factors, with the sign-in first where they would not be
// one, that meet all of a and, proved at the last moment that a allows, not
// all of b, which is another policy's. It is nil where there are none.
func (p *Policy) Sufficient(a LevelSet, other *Policy, b LevelSet) []Factor {
	joint, ok := join(p, a, other, b)
	if !ok {
		return nil
	}
	for _, pl := range joint.plans(joint.mine) {
		if !joint.misses(pl, joint.theirs, joint.asWell) {
			continue
		}
		factors := []Factor{}
		for _, x := range pl {
			factors = append(factors, x.factor)
		}
		if !slices.Contains(factors, Password) && !slices.Contains(factors, WebAuthn) {
			factors = append([]Factor{Password}, factors...)
		}
		return factors
	}
	return nil
}

// plans lists the least that meets a set, in each of its ways.
func (p *Policy) plans(set LevelSet) []plan {
	plans := []plan{{}}
	for _, l := range p.levels {
		if l.set&set != 0 && len(l.alternatives) > 0 {
			plans = extend(plans, l)
		}
	}
	return plans
}

// ExplainRule is a rule as explanations have it.
func ExplainRule(p *Policy, r *Rule) RuleExplanation { return p.explainRule(r) }

// Holding tells of each condition of a raise whether it counts as holding for
// a request: of the n-th in a rule's block, or of the n-th for every path
// where the rule is nil.
func (p *Policy) Holding(r *Request, rule *Rule, n int) []bool {
	raises := p.raises
	if rule != nil {
		raises = rule.raises
	}
	list := make([]bool, len(raises[n].conditions))
	for i := range list {
		list[i], _ = raises[n].conditions[i].raises(r)
	}
	return list
}
