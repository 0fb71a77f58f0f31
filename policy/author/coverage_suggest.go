package author

import (
	"slices"
	"strings"

	"github.com/stepgate/stepgate/policy"
)

// methodOf is a method that a rule is for.
func methodOf(r *policy.Rule) string {
	if methods := r.Methods(); len(methods) > 0 {
		return methods[0]
	}
	return "GET"
}

// admitted makes the facts those of somebody whom a rule lets in.
func admitted(r *policy.Rule, f *Facts) {
	if groups := r.Groups(); len(groups) > 0 {
		f.SignedIn, f.Groups = true, append(slices.Clone(f.Groups), groups[0])
	} else if users := r.Users(); len(users) > 0 {
		f.SignedIn, f.Username = true, users[0]
	}
}

// suggestRule is an assertion about a request that a rule is for.
func (c *Coverage) suggestRule(r *policy.Rule, paths []string) string {
	facts := Facts{Method: methodOf(r), Now: c.now}
	admitted(r, &facts)
	var fields []string
	for _, t := range r.Pattern().Terms() {
		fields = append(fields, t.Name+"="+strings.Join(t.Pieces, ""))
	}
	for _, path := range slices.Backward(paths) {
		facts.Target = rawPath(path)
		if len(fields) > 0 {
			facts.Target += "?" + strings.Join(fields, "&")
		}
		if holdsFor(r, c.site.Explain(facts)) {
			return c.assertion(facts)
		}
	}
	return ""
}

// holdsFor tells whether a rule is one that holds by an answer.
func holdsFor(r *policy.Rule, a Answer) bool {
	return slices.ContainsFunc(a.Readings, func(x policy.ReadingExplanation) bool {
		return slices.ContainsFunc(x.Rules, func(o policy.RuleExplanation) bool {
			return o.Pattern == r.Pattern().String() && o.Line == r.Position().Line
		})
	})
}

// sought is a raise about which an assertion is sought: in the block of a
// rule, or of the whole policy, where a path leads to it.
type sought struct {
	rule  *policy.Rule
	n     int
	raise policy.Raise
	path  string
}

// suggestRaise is an assertion about a request with the conditions of a raise:
// all of them, or all but one.
func (c *Coverage) suggestRaise(s sought, but int) string {
	x := &aspects{}
	x.raises([]policy.Raise{s.raise})
	best := ""
	for _, method := range s.methods() {
		enumerate(x.dimensions(c.now), c.now, func(_ []int, one *circumstance) {
			if best != "" {
				return
			}
			facts := one.facts
			facts.Method, facts.Target = method, rawPath(s.path)
			if s.rule != nil {
				admitted(s.rule, &facts)
			}
			without := c.without(facts, s.rule, s.n)
			if but < 0 && len(without) > 0 || but >= 0 && !slices.Equal(without, []int{but}) {
				return
			}
			answer := c.site.Explain(facts)
			if judged(answer) && (s.rule == nil || holdsFor(s.rule, answer)) && !assumes(facts) {
				best = c.assertion(facts)
			}
		})
	}
	return best
}

// methods are those by which a raise may hold, or not.
func (s sought) methods() []string {
	list := []string{"GET", "POST"}
	if s.rule != nil && len(s.rule.Methods()) > 0 {
		list = s.rule.Methods()
	}
	for _, one := range s.raise.Conditions {
		if one.Kind == "method" {
			for _, word := range one.Args {
				addTo(&list, strings.ToUpper(word))
			}
		}
	}
	return list
}

// judged tells whether raises add to what an answer is about.
func judged(a Answer) bool { return a.Refused == nil && !a.Own && !a.Deny && !a.Public }

// assumes tells of facts without one that an assertion always has.
func assumes(f Facts) bool { return f.Device == "" || f.Risk == policy.RiskUnset }

func (c *Coverage) assertion(f Facts) string {
	moved := !f.Now.Equal(c.now)
	f.Complete(f.Now)
	v := verdict{case_: &circumstance{}}
	if moved {
		v.when = []string{"at " + f.Now.String()}
	}
	who := ""
	if f.SignedIn && len(f.Groups) == 0 && f.Username == "" {
		who = " --signed-in"
	}
	return f.request(v) + who + " -> " + strings.Join(c.site.Explain(f).says(), " ")
}
