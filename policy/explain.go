package policy

import (
	"slices"
	"time"

	"github.com/stepgate/stepgate/policy/target"
)

// Explanation is a decision with its reasons: what `policy explain --json`
// prints and the audit trail keeps. All names are those of the Caddyfile.
type Explanation struct {
	Outcome string `json:"outcome"`
	Reason  string `json:"reason"`
	// Levels are all that the request needs; empty where it is public or
	// denied.
	Levels []string `json:"levels"`
	// Missing are those of them that the request's proofs do not meet.
	Missing []string `json:"missing"`
	Public  bool     `json:"public"`
	Deny    bool     `json:"deny"`
	// Rule is the one that decided; nil where the default did.
	Rule     *RuleExplanation     `json:"rule"`
	Readings []ReadingExplanation `json:"readings"`
	RaisedBy []RaiseExplanation   `json:"raised_by"`
	// Requires are the built-in levels that organisation and account ask
	// for, as far as the path is not public.
	Requires []string `json:"requires"`

	// Decision is what Decide says of the same request.
	Decision Decision `json:"-"`
}

// ReadingExplanation is one reading of one target, with what holds for it.
type ReadingExplanation struct {
	// Path is the reading, folded; How is how the target was read so, or
	// "script": Path is the script that a reading runs, and there are rules
	// for exactly that.
	Path string `json:"path"`
	How  string `json:"how"`
	// Rewritten is set for readings of what an earlier handler made of the
	// target.
	Rewritten bool `json:"rewritten,omitempty"`
	// Rules are those that hold, each once. Default is set where no rule
	// matched, by some method or spelling of the path.
	Rules   []RuleExplanation `json:"rules"`
	Default bool              `json:"default,omitempty"`
}

// RuleExplanation is one rule, for one pattern.
type RuleExplanation struct {
	Verb    Verb     `json:"verb"`
	Pattern string   `json:"pattern"`
	File    string   `json:"file,omitempty"`
	Line    int      `json:"line,omitempty"`
	Levels  []string `json:"levels,omitempty"`
	Methods []string `json:"methods,omitempty"`
	Groups  []string `json:"groups,omitempty"`
	Users   []string `json:"users,omitempty"`
	// Why is what the rule tells people, Until the moment from which it
	// weakens nothing.
	Why   string    `json:"why,omitempty"`
	Until time.Time `json:"until,omitzero"`
}

// RaiseExplanation is one raise that added its level.
type RaiseExplanation struct {
	Level string `json:"level"`
	// Conditions are as written. Unknown are those of them that only count
	// as holding, because they erred or lacked their fact.
	Conditions []string `json:"conditions"`
	Unknown    []string `json:"unknown,omitempty"`
	// Reasons are the conditions' reason words.
	Reasons []string `json:"reasons"`
	// Pattern is that of the rule in whose block it stands; empty for one of
	// the whole policy.
	Pattern string `json:"pattern,omitempty"`
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`
}

// Explain decides as Decide does and tells why. Unlike Decide it looks at
// every reading and every condition, also where the decision is clear, so
// that it may read the form where Decide need not.
func (p *Policy) Explain(r *Request) Explanation {
	x := Explanation{Readings: []ReadingExplanation{}, RaisedBy: []RaiseExplanation{}, Requires: []string{}}
	e := evaluation{policy: p, request: r, trace: &x}
	d := e.run()
	x.Decision = d
	x.Outcome, x.Reason, x.Public, x.Deny = d.Outcome.String(), d.Reason, d.Public, d.Outcome == Deny
	x.Levels, x.Missing = p.LevelNames(d.Needed), p.LevelNames(d.Missing)
	if d.Rule != nil {
		shown := p.explainRule(d.Rule)
		x.Rule = &shown
	}
	if e.private {
		x.Requires = append(x.Requires, r.Requires...)
	}
	return x
}

func (p *Policy) explainRule(r *Rule) RuleExplanation {
	x := RuleExplanation{
		Verb: r.verb, Pattern: r.pattern.text, File: r.pos.File, Line: r.pos.Line,
		Methods: slices.Clone(r.methods), Groups: slices.Clone(r.groups), Users: slices.Clone(r.users), Why: r.why, Until: r.until,
	}
	if r.levels != 0 {
		x.Levels = p.LevelNames(r.levels)
	}
	return x
}

func (e *evaluation) traceReading(t *target.Readings, i int) {
	if e.trace == nil {
		return
	}
	e.trace.Readings = append(e.trace.Readings, ReadingExplanation{
		Path: t.Path(i), How: t.How(i), Rewritten: t != e.request.Target, Rules: []RuleExplanation{},
	})
}

func (e *evaluation) traceScript(t *target.Readings, path string) {
	if e.trace == nil {
		return
	}
	e.trace.Readings = append(e.trace.Readings, ReadingExplanation{
		Path: path, How: howScript, Rewritten: t != e.request.Target, Rules: []RuleExplanation{},
	})
}

// howScript is what How says of a script.
const howScript = "script"

// untraceScript forgets a script that no rule is for, or that was there
// before.
func (e *evaluation) untraceScript() {
	if e.trace == nil {
		return
	}
	all := e.trace.Readings
	last := all[len(all)-1]
	if len(last.Rules) == 0 || slices.ContainsFunc(all[:len(all)-1], func(o ReadingExplanation) bool {
		return o.Path == last.Path && o.How == last.How && o.Rewritten == last.Rewritten
	}) {
		e.trace.Readings = all[:len(all)-1]
	}
}

func (e *evaluation) traceRuling(g *ruling) {
	if e.trace == nil {
		return
	}
	for _, r := range g.rules {
		e.traceRule(r)
	}
}

func (e *evaluation) traceRule(r *Rule) {
	if e.trace == nil {
		return
	}
	reading := &e.trace.Readings[len(e.trace.Readings)-1]
	if r == e.policy.Default() {
		reading.Default = true
		return
	}
	shown := e.policy.explainRule(r)
	if !slices.ContainsFunc(reading.Rules, func(o RuleExplanation) bool {
		return o.Verb == shown.Verb && o.Pattern == shown.Pattern && o.File == shown.File && o.Line == shown.Line &&
			slices.Equal(o.Levels, shown.Levels) && slices.Equal(o.Methods, shown.Methods) && slices.Equal(o.Groups, shown.Groups) && slices.Equal(o.Users, shown.Users)
	}) {
		reading.Rules = append(reading.Rules, shown)
	}
}

func (e *evaluation) traceRaise(a *raise, in *Rule) {
	if e.trace == nil {
		return
	}
	x := RaiseExplanation{File: a.pos.File, Line: a.pos.Line}
	x.Level = e.policy.LevelNames(a.level)[0]
	if in != nil {
		x.Pattern = in.pattern.text
	}
	for i := range a.conditions {
		c := &a.conditions[i]
		x.Conditions = append(x.Conditions, c.config.String())
		x.Reasons = append(x.Reasons, c.test.Reason())
		if _, failed := c.raises(e.request); failed {
			x.Unknown = append(x.Unknown, c.config.String())
		}
	}
	if !slices.ContainsFunc(e.trace.RaisedBy, func(o RaiseExplanation) bool {
		return o.Level == x.Level && o.Pattern == x.Pattern && o.File == x.File && o.Line == x.Line &&
			slices.Equal(o.Conditions, x.Conditions)
	}) {
		e.trace.RaisedBy = append(e.trace.RaisedBy, x)
	}
}
