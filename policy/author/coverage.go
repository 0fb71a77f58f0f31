package author

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/stepgate/stepgate/policy"
	"github.com/stepgate/stepgate/policy/exact"
)

// Coverage tells which rules, raises, conditions and readings of a site
// assertions have touched.
type Coverage struct {
	site    *Site
	now     time.Time
	touched map[string]bool
	// raising are the rules with raises in their blocks, by ruleKey.
	raising map[string]*policy.Rule
}

// NewCoverage begins with nothing touched. now is the moment that suggestions
// are for.
func NewCoverage(s *Site, now time.Time) *Coverage {
	c := &Coverage{site: s, now: now, touched: map[string]bool{}, raising: map[string]*policy.Rule{}}
	for _, r := range s.Policy.Rules() {
		if r.Raised() != 0 {
			c.raising[ruleKey(r.Pattern().String(), r.Position())] = r
		}
	}
	return c
}

// The keys of what is touched.
func ruleKey(pattern string, pos policy.Position) string { return pattern + " " + pos.String() }

func raiseKey(rule *policy.Rule, n int) string {
	if rule == nil {
		return fmt.Sprint("raise ", n)
	}
	return fmt.Sprint("raise ", n, " of ", ruleKey(rule.Pattern().String(), rule.Position()))
}

func conditionKey(raise string, i int) string { return fmt.Sprint("condition ", i, " of ", raise) }

func readingKey(rule string) string { return "reading of " + rule }

// See notes what an assertion is about, by its answer.
func (c *Coverage) See(f Facts, a Answer) {
	otherwise := slices.ContainsFunc(a.Readings, func(r policy.ReadingExplanation) bool { return r.Path != a.Readings[0].Path })
	var raising []*policy.Rule
	for _, reading := range a.Readings {
		for _, r := range reading.Rules {
			key := ruleKey(r.Pattern, policy.Position{File: r.File, Line: r.Line})
			c.touched[key] = true
			if otherwise {
				c.touched[readingKey(key)] = true
			}
			if rule := c.raising[key]; rule != nil && !slices.Contains(raising, rule) {
				raising = append(raising, rule)
			}
		}
		c.touched["default"] = c.touched["default"] || reading.Default
	}
	if !judged(a) {
		return
	}
	c.seeRaises(f, nil, c.site.Policy.Raises())
	for _, rule := range raising {
		c.seeRaises(f, rule, rule.Raises())
	}
}

// seeRaises notes which raises hold, and which would but for one condition.
func (c *Coverage) seeRaises(f Facts, rule *policy.Rule, raises []policy.Raise) {
	for n := range raises {
		switch without := c.without(f, rule, n); {
		case len(without) == 0:
			c.touched[raiseKey(rule, n)] = true
		case len(without) == 1:
			c.touched[conditionKey(raiseKey(rule, n), without[0])] = true
		}
	}
}

// without are the conditions of a raise that do not hold.
func (c *Coverage) without(f Facts, rule *policy.Rule, n int) []int {
	f.Complete(f.Now)
	readings, refusal := c.site.read(f.Target)
	if refusal != nil {
		return nil
	}
	r := c.site.request(&f, &readings, c.site.describer())
	var list []int
	for i, holds := range c.site.Policy.Holding(&r, rule, n) {
		if !holds {
			list = append(list, i)
		}
	}
	return list
}

// Untouched is something of a policy that no assertion is about.
type Untouched struct {
	Site string `json:"site"`
	Text string `json:"untouched"`
	// Kind is rule, raise, condition, reading or default.
	Kind string `json:"kind"`
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
	// Suggest is an assertion about it that holds now; empty where none was
	// found.
	Suggest string `json:"suggest,omitempty"`
}

// Render writes it for people.
func (u Untouched) Render(w io.Writer, suggest bool) error {
	if suggest {
		if u.Suggest == "" {
			_, err := fmt.Fprintf(w, "# no assertion was found for %s\n", visible(u.Text))
			return err
		}
		_, err := fmt.Fprintln(w, visible(u.Suggest))
		return err
	}
	where := ""
	if u.File != "" {
		where = position(u.File, u.Line) + ": "
	}
	_, err := fmt.Fprintf(w, "%sno assertion touches %s\n", where, visible(u.Text))
	return err
}

// Untouched lists what no assertion is about, and of how many rules, raises,
// conditions and readings in all. suggest looks for an assertion about each,
// which takes a while where there are many.
//
// A condition is touched by a request that it alone keeps the raise from, and
// a reading of a script by one that is read as the script and otherwise: these
// count where that other reading asks for something else.
func (c *Coverage) Untouched(suggest bool) (list []Untouched, all int) {
	l := &linter{site: c.site, policy: c.site.Policy, rules: c.site.Policy.Rules()}
	l.prepare()
	add := func(kind, key, text string, pos policy.Position, find func() string) {
		all++
		if c.touched[key] {
			return
		}
		u := Untouched{Site: c.site.Origin, Text: text, Kind: kind, File: pos.File, Line: pos.Line}
		if suggest {
			u.Suggest = find()
		}
		list = append(list, u)
	}
	raises := func(rule *policy.Rule, raises []policy.Raise, path string) {
		for n, a := range raises {
			s := sought{rule: rule, n: n, raise: a, path: path}
			written := "raise " + strings.Join(c.site.Policy.LevelNames(a.Level), " ") + " when " + writtenConditions(a)
			add("raise", raiseKey(rule, n), "`"+written+"`", a.Pos, func() string { return c.suggestRaise(s, -1) })
			for i, one := range a.Conditions {
				text := "`" + written + "` without `" + one.String() + "` alone"
				add("condition", conditionKey(raiseKey(rule, n), i), text, cmp.Or(one.Pos, a.Pos), func() string { return c.suggestRaise(s, i) })
			}
		}
	}
	for _, r := range l.rules {
		paths := l.pathsOf(r)
		key := ruleKey(r.Pattern().String(), r.Position())
		add("rule", key, "`"+l.written(r)+"`", r.Position(), func() string { return c.suggestRule(r, paths) })
		raises(r, r.Raises(), paths[len(paths)-1])
		if text, target := c.readOtherwise(r, paths[0]); text != "" {
			add("reading", readingKey(key), "`"+l.written(r)+"` read otherwise: "+text, r.Position(), func() string {
				return c.assertion(Facts{Method: methodOf(r), Target: target, Now: c.now})
			})
		}
	}
	raises(nil, c.site.Policy.Raises(), "/"+l.fresh)
	add("default", "default", "the default", c.site.Policy.Default().Position(), func() string {
		return c.assertion(Facts{Method: "GET", Target: "/" + l.fresh, Now: c.now})
	})
	return list, all
}

func writtenConditions(a policy.Raise) string {
	var texts []string
	for _, one := range a.Conditions {
		texts = append(texts, one.String())
	}
	return strings.Join(texts, " and ")
}

// readOtherwise finds a spelling of a script by which a rule for exactly that
// script is not all that holds, and what it needs then; nothing where all
// spellings need the same, and for what is no script.
func (c *Coverage) readOtherwise(r *policy.Rule, path string) (text, target string) {
	parts := r.Pattern().Parts()
	if r.Pattern().Subtree() || r.Pattern().Queried() || len(parts) == 0 {
		return "", ""
	}
	globs, _ := c.site.Reader.Scripts()
	last := path[strings.LastIndexByte(path, '/')+1:]
	if !slices.ContainsFunc(globs, func(g []string) bool { return exact.Glob(g).Fits(last) }) {
		return "", ""
	}
	needs := func(target string) string {
		a := c.site.Explain(Facts{Method: methodOf(r), Target: target, Now: c.now})
		return strings.Join(a.says(), " ")
	}
	plain := needs(rawPath(path))
	for _, ending := range []string{";jsessionid=1", "/x"} {
		if other := needs(rawPath(path) + ending); other != plain {
			return fmt.Sprintf("%s%s needs %s and not %s", rawPath(path), ending, other, plain), rawPath(path) + ending
		}
	}
	return "", ""
}
