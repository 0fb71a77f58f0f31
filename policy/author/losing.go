package author

import (
	"slices"
	"strings"

	"github.com/stepgate/stepgate/policy"
	"github.com/stepgate/stepgate/policy/exact"
)

// Losing is a rule whose pattern matches and that does not decide, and why.
type Losing struct {
	Path string `json:"path"`
	policy.RuleExplanation
	Because string `json:"because"`
}

// losing lists the rules that match a reading and do not hold there.
func (s *Site) losing(x policy.Explanation, method string) []Losing {
	list := []Losing{}
	for _, reading := range x.Readings {
		for _, r := range s.Policy.Rules() {
			p := r.Pattern()
			shown := policy.ExplainRule(s.Policy, r)
			if !matches(p, reading.Path) || slices.ContainsFunc(reading.Rules, func(o policy.RuleExplanation) bool {
				return o.Pattern == shown.Pattern && o.Line == shown.Line && slices.Equal(o.Methods, shown.Methods)
			}) {
				continue
			}
			list = append(list, Losing{reading.Path, shown, because(r, reading, method)})
		}
	}
	return list
}

// because says why a rule that matches does not hold.
func because(r *policy.Rule, at policy.ReadingExplanation, method string) string {
	if method == "HEAD" {
		method = "GET"
	}
	switch {
	case len(r.Methods()) > 0 && !slices.Contains(r.Methods(), method):
		return "it is for " + strings.Join(r.Methods(), ", ")
	case r.Pattern().Queried():
		return "the request has no such query or form"
	case at.How == "script":
		return "of a script only rules for exactly that path are asked"
	case len(at.Rules) == 0:
		return "a more specific rule decides"
	}
	winner := at.Rules[0]
	if strings.EqualFold(winner.Pattern, r.Pattern().String()) {
		return "a rule of the same pattern names the method"
	}
	return winner.Pattern + " is more specific"
}

// matches tells whether a folded path is one of a pattern's, its query aside.
func matches(p policy.Pattern, path string) bool {
	var segments []string
	if path != "/" {
		segments = strings.Split(path[1:], "/")
	}
	parts := p.Parts()
	if last := len(segments) - 1; p.Slash() && last == len(parts) && segments[last] == "" {
		segments = segments[:last]
	}
	if len(segments) < len(parts) || len(segments) > len(parts) && !p.Subtree() {
		return false
	}
	for i, part := range parts {
		if len(part.Pieces) > 0 && !exact.Glob(part.Pieces).Fits(segments[i]) {
			return false
		}
	}
	return true
}
