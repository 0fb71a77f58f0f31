package author

import (
	"cmp"
	"slices"
	"strings"

	"github.com/stepgate/stepgate/policy"
)

// comparison compares one path by one method in all circumstances.
type comparison struct {
	*differ
	dims            []dimension
	path            string
	method, claimed string
	cases           map[Direction][]pickedCase
}

type pickedCase struct {
	cost   int
	picked []int
}

func (c *comparison) run() []verdict {
	c.cases = map[Direction][]pickedCase{}
	all := enumerate(c.dims, c.now, func(picked []int, x *circumstance) {
		weaker, stronger := c.compare(x)
		for way, goes := range map[Direction]bool{Weaker: weaker, Stronger: stronger} {
			if goes {
				c.cases[way] = append(c.cases[way], pickedCase{cost(c.dims, picked), slices.Clone(picked)})
			}
		}
	})
	if !all {
		c.incomplete = true
		c.differ.incomplete = true
	}
	var verdicts []verdict
	for _, way := range []Direction{Weaker, Stronger} {
		if v, ok := c.best(way); ok {
			verdicts = append(verdicts, v)
		}
	}
	return verdicts
}

func (c *comparison) compare(x *circumstance) (weaker, stronger bool) {
	x.claimed = c.claimed
	was, is := needOf(c.was.decide(c.method, c.path, x)), needOf(c.is.decide(c.method, c.path, x))
	key := [2]need{was, is}
	known, ok := c.known[key]
	if !ok {
		known = [2]bool{passes(c.is.policy, is, c.was.policy, was), passes(c.was.policy, was, c.is.policy, is)}
		c.known[key] = known
	}
	return known[0], known[1]
}

func (c *comparison) goes(way Direction, picked []int) bool {
	weaker, stronger := c.compare(circumstanceOf(c.dims, picked, c.now))
	if way == Weaker {
		return weaker
	}
	return stronger
}

// maxLooks is how many cases are looked at for one that depends on nothing
// unknown.
const maxLooks = 256

// best chooses the case that shows a direction best: one that does not depend
// on several conditions of which only the text is known, and of those the
// most ordinary one.
func (c *comparison) best(way Direction) (verdict, bool) {
	cases := c.cases[way]
	if len(cases) == 0 {
		return verdict{}, false
	}
	slices.SortStableFunc(cases, func(a, b pickedCase) int { return cmp.Compare(a.cost, b.cost) })
	var first *verdict
	for _, one := range cases[:min(len(cases), maxLooks)] {
		v := c.verdict(way, one.picked)
		if len(v.because) == 0 {
			return v, true
		}
		if first == nil {
			first = &v
		}
	}
	first.direction = Undecided
	return *first, true
}

// verdict tells on what a case depends: the things of which another value
// would end it.
func (c *comparison) verdict(way Direction, picked []int) verdict {
	v := verdict{direction: way, method: c.method, case_: circumstanceOf(c.dims, picked, c.now)}
	v.case_.claimed = c.claimed
	var open []string
	for i, d := range c.dims {
		ending := c.ending(way, picked, i)
		if len(ending) == 0 {
			continue
		}
		words := d.values[picked[i]].words
		if picked[i] == 0 && d.open == "" && d.name != "group" {
			words = "not " + ending[0]
		}
		switch {
		case d.open != "":
			open = append(open, words)
			v.when = append(v.when, words)
		case d.name == "group":
			v.group = strings.TrimPrefix(words, "group ")
		case d.name != "query":
			v.when = append(v.when, words)
		}
	}
	if len(open) > 1 && !c.together(open) {
		v.because = open
	}
	return v
}

// ending lists the other values of a dimension with which a case would not go
// that way, those first that a request can have.
func (c *comparison) ending(way Direction, picked []int, dim int) []string {
	var words, odd []string
	other := slices.Clone(picked)
	for v, value := range c.dims[dim].values {
		if other[dim] = v; v == picked[dim] || c.goes(way, other) {
			continue
		}
		if value.odd {
			odd = append(odd, value.words)
		} else {
			words = append(words, value.words)
		}
	}
	return append(words, odd...)
}

// together tells whether all these conditions stand in one raise, so that
// whoever wrote it thought of them together.
func (c *comparison) together(open []string) bool {
	return slices.ContainsFunc(append(c.was.raises(), c.is.raises()...), func(r policy.Raise) bool {
		return !slices.ContainsFunc(open, func(text string) bool {
			return !slices.ContainsFunc(r.Conditions, func(one policy.ConditionConfig) bool { return conditionText(one) == text })
		})
	})
}

// tell makes a change of a verdict, unless one like it is there: the request
