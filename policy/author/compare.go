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
	// words are those of what is needed no more, or was not.
	words []string
}

// step is from what was needed to what is: whether that is weaker, and whether
// it is stronger, with the words of what went and of what came.
type step struct {
	weaker, stronger bool
	went, came       []string
}

// goes tells whether a step goes that way, and what it shows by.
func (s *step) goes(way Direction) (bool, []string) {
	if way == Weaker {
		return s.weaker, s.went
	}
	return s.stronger, s.came
}

func (c *comparison) run() []verdict {
	c.cases = map[Direction][]pickedCase{}
	all := enumerate(c.dims, c.now, func(picked []int, x *circumstance) {
		step := c.compare(x)
		for _, way := range []Direction{Weaker, Stronger} {
			if goes, words := step.goes(way); goes {
				c.cases[way] = append(c.cases[way], pickedCase{cost(c.dims, picked), slices.Clone(picked), words})
			}
		}
	})
	if !all {
		c.incomplete = true
		c.differ.incomplete = true
	}
	return append(c.choose(Weaker), c.choose(Stronger)...)
}

func (c *comparison) compare(x *circumstance) *step {
	x.claimed = c.claimed
	was, is := needOf(c.was.decide(c.method, c.path, x)), needOf(c.is.decide(c.method, c.path, x))
	key := [2]need{was, is}
	known := c.known[key]
	if known == nil {
		before, after := c.was.wordsOf(was), c.is.wordsOf(is)
		known = &step{
			weaker: passes(c.is.policy, is, c.was.policy, was), stronger: passes(c.was.policy, was, c.is.policy, is),
			went: beyond(before, after), came: beyond(after, before),
		}
		c.known[key] = known
	}
	return known
}

// wordsOf has a word for each thing needed: what it means, so that a level by
// the same name may be another.
func (m *model) wordsOf(n need) []string {
	switch {
	case n.deny:
		return []string{"deny"}
	case n.public:
		return nil
	}
	var words []string
	for _, l := range m.policy.Levels() {
		if n.levels.Has(l.Set()) {
			words = append(words, m.policy.Meaning(l.Set()))
		}
	}
	return words
}

// beyond is what of a list is not in another.
func beyond(list, other []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(word string) bool { return slices.Contains(other, word) })
}

func (c *comparison) goes(way Direction, picked []int) bool {
	goes, _ := c.compare(circumstanceOf(c.dims, picked, c.now)).goes(way)
	return goes
}

// maxLooks is how many cases are looked at for one that depends on nothing
// unknown.
const maxLooks = 256

// choose takes the cases that show a direction best: those that do not depend
// on several conditions of which only the text is known, and of those the most
// ordinary ones. Another is taken only where it shows of something else that it
// is needed no more, so that one change does not hide behind another.
func (c *comparison) choose(way Direction) []verdict {
	cases := c.cases[way]
	slices.SortStableFunc(cases, func(a, b pickedCase) int { return cmp.Compare(a.cost, b.cost) })
	var chosen, open []verdict
	var shown, half []string
	for _, one := range cases[:min(len(cases), maxLooks)] {
		if len(chosen) > 0 && len(beyond(one.words, shown)) == 0 {
			continue
		}
		v := c.verdict(way, one.picked)
		switch {
		case len(v.because) == 0:
			chosen = append(chosen, v)
			addTo(&shown, one.words...)
		case len(open) == 0 || len(beyond(one.words, half)) > 0:
			v.direction, v.words = Undecided, one.words
			open = append(open, v)
			addTo(&half, one.words...)
		}
	}
	for _, v := range open {
		if len(chosen) == 0 || len(beyond(v.words, shown)) > 0 {
			chosen = append(chosen, v)
			addTo(&shown, v.words...)
		}
	}
	return chosen
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
	// What can only be stronger is so whatever the conditions are.
	if way == Weaker && len(open) > 1 && !c.together(open) {
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

// together tells whether all these conditions, or their opposites, stand in one
// raise, so that whoever wrote it thought of them together.
func (c *comparison) together(open []string) bool {
	return slices.ContainsFunc(append(c.was.raises(), c.is.raises()...), func(r policy.Raise) bool {
		return !slices.ContainsFunc(open, func(text string) bool {
			return !slices.ContainsFunc(r.Conditions, func(one policy.ConditionConfig) bool { return openText(one) == strings.TrimPrefix(text, "not ") })
		})
	})
}

// tell makes a change of a verdict, unless one like it is there: the request
