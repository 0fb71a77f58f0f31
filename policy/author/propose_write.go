package author

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/stepgate/stepgate/policy"
)

func (d *drafter) write() string {
	w := &writer{}
	r := d.report
	w.line("", "# Drafted from", grouped(r.Requests), "requests"+d.span()+". Read every line before you keep it.")
	w.block("", func() {
		c := d.site.Config
		for _, l := range c.Levels {
			w.level(l)
		}
		if len(c.Scripts) > 0 {
			w.line("", append([]string{"scripts"}, c.Scripts...)...)
		}
		if len(c.Rules) > 0 {
			w.WriteString("\n" + w.indent + "# As it is enforced.\n")
		}
		counted := d.byPlace()
		for _, rule := range c.Rules {
			remark := ""
			if rule.Pos != (policy.Position{}) {
				remark = percent(counted[rule.Pos], r.Requests)
			}
			w.rule(rule, remark)
		}
		if len(d.guesses) > 0 {
			w.WriteString("\n" + w.indent + "# Guessed from what no rule names.\n")
		}
		slices.SortStableFunc(d.guesses, func(a, b guess) int { return cmp.Compare(top(a), top(b)) })
		for _, g := range d.guesses {
			w.rule(g.rule, g.remark(r.Requests))
		}
		w.WriteByte('\n')
		fallback := c.Default
		if len(fallback) == 0 {
			fallback = []string{policy.LevelMFA}
		}
		w.line(percent(d.rare, r.Requests)+" are left to it", append([]string{"default"}, fallback...)...)
		for _, a := range c.Raises {
			w.raise(a)
		}
	}, "policy")
	return w.String()
}

// top is the first folder of a guess, by which they stand together.
func top(g guess) string { return strings.ToLower(folder(g.rule.Patterns[0])) }

func (d *drafter) span() string {
	if d.report.Requests == 0 {
		return ""
	}
	return ", " + d.report.From.Format(time.DateOnly) + " to " + d.report.To.Format(time.DateOnly)
}

// byPlace counts requests by where the rule stands that decided.
func (d *drafter) byPlace() map[policy.Position]int64 {
	counted := map[policy.Position]int64{}
	for as, n := range d.root.all() {
		if as.rule != nil {
			counted[as.rule.Position()] += n
		}
	}
	return counted
}
