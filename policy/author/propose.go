package author

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stepgate/stepgate/policy"
)

// Proposal is a policy drafted from traffic, for a person to edit.
type Proposal struct {
	Origin string
	// Text is a `policy` block of a Caddyfile.
	Text string
}

// Propose drafts a policy for each site of a rehearsal with Paths: what is
// enforced, as it stands, and guesses about what falls to the default. A
// guess stays only where it asks of no request for less than a rule that is
// enforced does.
func (r *Rehearsal) Propose(report *Report, now time.Time) ([]Proposal, error) {
	var list []Proposal
	for i, site := range r.Sites {
		d := &drafter{site: site, report: report, now: now, root: report.tree.sites[i]}
		d.guess()
		text, err := d.settle()
		if err != nil {
			return nil, err
		}
		list = append(list, Proposal{site.Origin, text})
	}
	return list, nil
}

// draftFile names the place of rules that are guessed.
const draftFile = "draft"

// drafter makes one draft.
type drafter struct {
	site    *Site
	report  *Report
	now     time.Time
	root    *pathNode
	guesses []guess
	rare    int64 // requests of what is too rare for a rule of its own
}

// maxRounds is how often guesses are dropped for being weaker than a rule.
const maxRounds = 20

// settle drops guesses that ask for less than an enforced rule, and writes
// what is left.
func (d *drafter) settle() (string, error) {
	for range maxRounds {
		site, err := d.draft()
		if err != nil {
			return "", err
		}
		difference, err := Diff(d.site, site, d.now)
		if err != nil {
			return "", err
		}
		weaker := map[int]bool{}
		for _, c := range difference.Changes {
			if c.Direction.MayWeaken() && c.OldRule != nil && c.NewRule != nil && c.NewRule.File == draftFile {
				weaker[c.NewRule.Line] = true
			}
		}
		if len(weaker) == 0 {
			d.meant(site)
			return d.write(), nil
		}
		d.guesses = slices.DeleteFunc(d.guesses, func(g guess) bool { return weaker[g.rule.Pos.Line] })
	}
	d.guesses = nil
	return d.write(), nil
}

// draft is the site as it would be.
func (d *drafter) draft() (*Site, error) {
	config := *d.site.Config
	config.Rules = slices.Clone(config.Rules)
	for _, g := range d.guesses {
		config.Rules = append(config.Rules, g.rule)
	}
	site := *d.site
	site.Config, site.Policy = &config, nil
	model, err := newModel(&site)
	if err != nil {
		return nil, fmt.Errorf("compile the draft: %w", err)
	}
	site.Policy = model.policy
	return &site, nil
}

// meant accepts what lint finds about guesses: they are guesses, and say why.
func (d *drafter) meant(site *Site) {
	for _, f := range Lint(site, LintOptions{Offered: policy.Factors(), Now: d.now}) {
		for i, g := range d.guesses {
			if f.File == draftFile && f.Line == g.rule.Pos.Line && !f.Note && !slices.Contains(g.accept, f.Code) {
				d.guesses[i].accept = append(d.guesses[i].accept, f.Code)
			}
		}
	}
}

func (g guess) remark(of int64) string {
	text := percent(g.requests, of)
	if g.writes > 0 {
		text += fmt.Sprintf(", %s change something", percent(g.writes, of))
	}
	if len(g.accept) > 0 {
		return fmt.Sprintf("lint: ok %s: %s (%s)", strings.Join(g.accept, ", "), g.why, text)
	}
	return text + ": " + g.why
}

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
			// What a query adds to what else decides has no share of its own.
			if rule.Pos != (policy.Position{}) && !asksQuery(rule) {
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

func asksQuery(r policy.RuleConfig) bool {
	return slices.ContainsFunc(r.Patterns, func(pattern string) bool { return strings.Contains(pattern, "?") })
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
