package author

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/stepgate/stepgate/policy"
)

// Finding is one thing that lint noticed.
type Finding struct {
	// Code is one of the Code constants, or one of the command's own.
	Code string `json:"code"`
	// Note says that the finding only tells what a choice leaves open:
	// nothing is wrong with it.
	Note bool   `json:"note,omitempty"`
	Site string `json:"site,omitempty"`
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
	Text string `json:"text"`
	// Mend says what to do about it.
	Mend string `json:"mend"`
}

// The codes of findings about a policy.
const (
	// CodeWeakerInside: a rule lets weaker proofs into part of a subtree.
	CodeWeakerInside = "weaker-inside"
	// CodeGroupLost: a rule lets everyone into part of a groups' subtree.
	CodeGroupLost = "group-lost"
	// CodeUnreachable: other rules decide about every path of a rule.
	CodeUnreachable = "unreachable"
	// CodeDuplicate: a rule says what another says.
	CodeDuplicate = "duplicate"
	// CodeAddsNothing: a rule that ties with another asks for no more.
	CodeAddsNothing = "adds-nothing"
	// CodeQueryAddsNothing: the path needs it without the query as well.
	CodeQueryAddsNothing = "query-adds-nothing"
	// CodeRaiseAddsNothing: every path that it is for needs it anyway.
	CodeRaiseAddsNothing = "raise-adds-nothing"
	// CodeUnmeetable: nobody can meet a level with what is configured.
	CodeUnmeetable = "unmeetable-level"
	// CodeKnowledgeOnly: a level can be met by what somebody knows.
	CodeKnowledgeOnly = "knowledge-only"
	// CodeEmailFactor: a level counts e-mail codes.
	CodeEmailFactor = "email-factor"
	// CodeWeakDefault: what no rule matches needs less than `mfa`.
	CodeWeakDefault = "weak-default"
)

// Lint looks for what is wrong with the policy of a site, or does nothing.
// offered are the factors that people can have with what is configured. What
// a rule matches is judged by its pattern, and conditions are taken as
// possible. Findings come in the order of their place.
func Lint(s *Site, offered []policy.Factor) []Finding {
	l := &linter{site: s, policy: s.Policy, rules: s.Policy.Rules(), offered: offered}
	l.prepare()
	l.weakerInside()
	l.unreachable()
	l.tied()
	l.queries()
	l.raises()
	l.levels()
	l.fallback()
	for i := range l.found {
		l.found[i].Site = s.Origin
	}
	slices.SortStableFunc(l.found, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	return l.found
}

// Render writes a finding for people.
func (f Finding) Render(w io.Writer) error {
	where := ""
	if f.File != "" {
		where = f.File + ": "
		if f.Line > 0 {
			where = position(f.File, f.Line) + ": "
		}
	}
	kind := ""
	if f.Note {
		kind = "note: "
	}
	_, err := fmt.Fprintf(w, "%s%s%s [%s]\n\t%s\n", where, kind, visible(f.Text), f.Code, visible(f.Mend))
	return err
}

// linter is one run over one policy.
type linter struct {
	site    *Site
	policy  *policy.Policy
	rules   []*policy.Rule
	offered []policy.Factor
	found   []Finding

	patterns []policy.Pattern
	// methods are those that rules name, and one that none names.
	methods []string
	// paths are each rule's witnesses, decided what holds at them.
	paths map[*policy.Rule][]string
}

// otherMethod stands for every method that no rule names.
const otherMethod = "ANY-OTHER"

func (l *linter) prepare() {
	l.paths = map[*policy.Rule][]string{}
	l.methods = []string{otherMethod}
	for _, r := range l.rules {
		l.patterns = append(l.patterns, r.Pattern())
		for _, m := range r.Methods() {
			if !slices.Contains(l.methods, m) {
				l.methods = append(l.methods, m)
			}
		}
	}
	for _, r := range l.rules {
		l.paths[r] = policy.Witnesses(r.Pattern(), l.patterns)
	}
}

// add notes a finding at pos; without one it stands where the gate is written.
func (l *linter) add(code string, pos policy.Position, mend, text string, args ...any) {
	if pos == (policy.Position{}) {
		pos = l.site.Position
	}
	l.found = append(l.found, Finding{Code: code, File: pos.File, Line: pos.Line, Text: fmt.Sprintf(text, args...), Mend: mend})
}

// effect is what rules that hold together ask for.
type effect struct {
	deny, public bool
	levels       policy.LevelSet
	grouped      bool
}

func together(rules []*policy.Rule) effect {
	e := effect{public: true}
	for _, r := range rules {
		e.deny = e.deny || r.Verb() == policy.VerbDeny
		e.public = e.public && r.Verb() == policy.VerbPublic
		e.levels |= r.Levels()
		e.grouped = e.grouped || len(r.Groups()) > 0
	}
	return e
}

// weaker tells whether some proofs, or none, pass e and not o.
func (e effect) weaker(p *policy.Policy, o effect) bool {
	switch {
	case e.deny || o.public && !o.deny:
		return false
	case o.deny:
		return true
	case e.public:
		return true
	default:
		return p.Weaker(e.levels, o.levels)
	}
}

// adds tells whether a level asks for more than e does.
func (e effect) adds(p *policy.Policy, level policy.LevelSet) bool {
	return !e.deny && p.Weaker(e.levels, level)
}

func (l *linter) says(e effect) string {
	switch {
	case e.deny:
		return "deny"
	case e.public:
		return "public"
	default:
		return strings.Join(l.policy.LevelNames(e.levels), " ")
	}
}

// written is a rule as it stands in a Caddyfile.
func (l *linter) written(r *policy.Rule) string {
	parts := []string{string(r.Verb())}
	if r.Levels() != 0 {
		parts = append(parts, l.policy.LevelNames(r.Levels())...)
	}
	parts = append(parts, r.Methods()...)
	return strings.Join(append(parts, r.Pattern().String()), " ")
}

// at is a rule with its place.
func (l *linter) at(r *policy.Rule) string {
	if pos := r.Position().String(); pos != "" {
		return fmt.Sprintf("`%s` (%s)", l.written(r), pos)
	}
	return "`" + l.written(r) + "`"
}

// methodsText names methods, where not all are meant.
func methodsText(methods []string) string {
	named := slices.DeleteFunc(slices.Clone(methods), func(m string) bool { return m == otherMethod })
	if len(named) == 0 || len(named) < len(methods) {
		return ""
	}
	return " for " + strings.Join(named, ", ")
}
