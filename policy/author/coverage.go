package author

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/stepgate/stepgate/policy"
)

// Coverage tells which rules and raises of a site assertions have touched.
type Coverage struct {
	site    *Site
	now     time.Time
	touched map[string]bool
}

// NewCoverage begins with nothing touched. now is the moment that suggestions
// are for.
func NewCoverage(s *Site, now time.Time) *Coverage {
	return &Coverage{site: s, now: now, touched: map[string]bool{}}
}

// See notes what an answer is about.
func (c *Coverage) See(a Answer) {
	for _, reading := range a.Readings {
		for _, r := range reading.Rules {
			c.touched[r.Pattern+" "+policy.Position{File: r.File, Line: r.Line}.String()] = true
		}
		c.touched["default"] = c.touched["default"] || reading.Default
	}
	for _, r := range a.RaisedBy {
		c.touched["raise "+r.Level+" when "+strings.Join(r.Conditions, " and ")] = true
	}
}

// Untouched is a rule or a raise that no assertion is about.
type Untouched struct {
	Site string `json:"site"`
	Text string `json:"untouched"`
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

// Untouched lists what no assertion is about, and of how many rules and raises
// in all.
func (c *Coverage) Untouched() (list []Untouched, all int) {
	l := &linter{site: c.site, policy: c.site.Policy, rules: c.site.Policy.Rules()}
	l.prepare()
	add := func(key, text string, pos policy.Position, suggest func() string) {
		all++
		if !c.touched[key] {
			list = append(list, Untouched{c.site.Origin, text, pos.File, pos.Line, suggest()})
		}
	}
	raises := func(raises []policy.Raise, path string) {
		for _, a := range raises {
			key := "raise " + strings.Join(c.site.Policy.LevelNames(a.Level), " ") + " when " + writtenConditions(a)
			add(key, "`"+key+"`", a.Pos, func() string { return c.suggestRaise(a, path) })
		}
	}
	for _, r := range l.rules {
		path := l.pathsOf(r)[len(l.pathsOf(r))-1]
		add(r.Pattern().String()+" "+r.Position().String(), "`"+l.written(r)+"`", r.Position(), func() string { return c.suggestRule(r, l.pathsOf(r)) })
		raises(r.Raises(), path)
	}
	raises(c.site.Policy.Raises(), "/"+l.fresh)
	add("default", "the default", c.site.Policy.Default().Position(), func() string {
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

// suggestRule is an assertion about a request that a rule is for.
func (c *Coverage) suggestRule(r *policy.Rule, paths []string) string {
	facts := Facts{Method: "GET", Now: c.now}
	if methods := r.Methods(); len(methods) > 0 {
		facts.Method = methods[0]
	}
	if groups := r.Groups(); len(groups) > 0 {
		facts.SignedIn, facts.Groups = true, groups[:1]
	}
	var fields []string
	for _, t := range r.Pattern().Terms() {
		fields = append(fields, t.Name+"="+strings.Join(t.Pieces, ""))
	}
	for _, path := range slices.Backward(paths) {
		facts.Target = rawPath(path)
		if len(fields) > 0 {
			facts.Target += "?" + strings.Join(fields, "&")
		}
		answer := c.site.Explain(facts)
		touched := slices.ContainsFunc(answer.Readings, func(x policy.ReadingExplanation) bool {
			return slices.ContainsFunc(x.Rules, func(o policy.RuleExplanation) bool {
				return o.Pattern == r.Pattern().String() && o.Line == r.Position().Line
			})
		})
		if touched {
			return c.assertion(facts)
		}
	}
	return ""
}

// suggestRaise is an assertion about a request with the conditions of a raise.
func (c *Coverage) suggestRaise(a policy.Raise, path string) string {
	x := &aspects{}
	x.raises([]policy.Raise{a})
	best := ""
	enumerate(x.dimensions(c.now), c.now, func(_ []int, one *circumstance) {
		if best != "" {
			return
		}
		facts := one.facts
		facts.Method, facts.Target = "GET", rawPath(path)
		answer := c.site.Explain(facts)
		if slices.ContainsFunc(answer.RaisedBy, func(r policy.RaiseExplanation) bool {
			return strings.Join(r.Conditions, " and ") == writtenConditions(a) && len(r.Unknown) == 0
		}) {
			best = c.assertion(facts)
		}
	})
	return best
}

func (c *Coverage) assertion(f Facts) string {
	f.Complete(f.Now)
	who := ""
	if f.SignedIn && len(f.Groups) == 0 {
		who = " --signed-in"
	}
	return f.request(verdict{case_: &circumstance{}}) + who + " -> " + strings.Join(c.site.Explain(f).says(), " ")
}
