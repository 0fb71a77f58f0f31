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
	// CodeCrossing: a rule lets weaker proofs in where its pattern crosses
	// another.
	CodeCrossing = "crossing"
	// CodeWeakerMethod: a rule of a method asks for less than the rule of the
	// same pattern that it beats.
	CodeWeakerMethod = "weaker-method"
	// CodeRaiseLost: a rule drops a raise of the rule that it beats.
	CodeRaiseLost = "raise-lost"
	// CodeGroupLost: a rule lets more people into part of a groups' subtree.
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
	// CodeQuestions: a level asks security questions beside something held.
	CodeQuestions = "security-questions"
	// CodeEmailFactor: a level counts e-mail codes.
	CodeEmailFactor = "email-factor"
	// CodePublicWide: a `public` rule is for every folder.
	CodePublicWide = "public-wide"
	// CodeRegexp: a pattern looks like a regular expression.
	CodeRegexp = "like-regexp"
	// CodeOwnPages: a rule is about the gateway's own pages.
	CodeOwnPages = "own-pages"
	// CodeSessionInPath: a public page is not public with a session in its
	// path.
	CodeSessionInPath = "session-in-path"
	// CodeMethodGap: a rule names some of the methods that write.
	CodeMethodGap = "method-gap"
	// CodeUntil: a rule ends soon, or has ended.
	CodeUntil = "until"
	// CodeUnknownMethod: nobody uses a method.
	CodeUnknownMethod = "unknown-method"
	// CodeRaiseNever: no request has all conditions of a raise.
	CodeRaiseNever = "raise-never"
	// CodeClientDecides: a raise goes by what the client writes.
	CodeClientDecides = "client-decides"
	// CodeShortAge and CodeLongAge: a max_age that is of no use.
	CodeShortAge = "short-max-age"
	CodeLongAge  = "long-max-age"
	// CodeAcceptsNothing: a comment accepts what is not found.
	CodeAcceptsNothing = "accepts-nothing"
	// CodeAcceptsWithout: a comment accepts something without a reason.
	CodeAcceptsWithout = "accepts-without-reason"
	// CodeWeakDefault: what no rule matches needs less than `mfa`.
	CodeWeakDefault = "weak-default"
)

// LintOptions are what findings depend on besides the policy.
type LintOptions struct {
	// Offered are the factors that people can have with what is configured.
	Offered []policy.Factor
	// TypedElsewhere says that people type their password before they come to
	// the site, or into a box of their browser's: nobody there asks for it anew.
	TypedElsewhere bool
	// Now is the moment of the question; zero asks about no rule's end.
	Now time.Time
	// Session is how long a session lasts at most; 0 means that it is not
	// known.
	Session time.Duration
}

// Lint looks for what is wrong with the policy of a site, or does nothing.
// All paths are gone through, and conditions are taken as possible. Findings
// come in the order of their place.
func Lint(s *Site, o LintOptions) []Finding {
	l := &linter{site: s, policy: s.Policy, rules: s.Policy.Rules(), o: o}
	l.prepare()
	l.contests()
	l.unreachable()
	l.tied()
	l.raises()
	l.habits()
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
	site   *Site
	policy *policy.Policy
	rules  []*policy.Rule
	o      LintOptions
	found  []Finding

	// methods are those that rules name, and one that none names.
	methods []string
	models  *models
	// fresh is a segment that no pattern names, depth how many segments the
	// longest pattern has.
	fresh string
	depth int
	// decides and addsQuery tell, by what rules say, whether they ever do;
	// losing remembers mayLose.
	decides, addsQuery map[int32]bool
	losing             map[string]bool
	byPlace            map[policy.Position][]*policy.Rule
}

// note is add for what only tells what a choice leaves open.
func (l *linter) note(code string, pos policy.Position, mend, text string, args ...any) {
	l.add(code, pos, mend, text, args...)
	l.found[len(l.found)-1].Note = true
}

// otherMethod stands for every method that no rule names.
const otherMethod = "ANY-OTHER"

func (l *linter) prepare() {
	l.decides, l.addsQuery, l.losing = map[int32]bool{}, map[int32]bool{}, map[string]bool{}
	l.methods = []string{otherMethod}
	var globs []exact.Glob
	literals := map[string]bool{}
	l.byPlace = map[policy.Position][]*policy.Rule{}
	for _, r := range l.rules {
		l.byPlace[r.Position()] = append(l.byPlace[r.Position()], r)
		addTo(&l.methods, r.Methods()...)
		parts := r.Pattern().Parts()
		l.depth = max(l.depth, len(parts))
		for _, part := range parts {
			switch len(part.Pieces) {
			case 0:
			case 1:
				literals[part.Pieces[0]] = true
			default:
				globs = append(globs, part.Pieces)
			}
		}
	}
	l.fresh = freshSegment(func(text string) bool {
		return literals[text] || slices.ContainsFunc(globs, func(g exact.Glob) bool { return g.Fits(text) })
	})
}

// freshSegment finds a segment that no pattern names.
func freshSegment(named func(string) bool) string {
	for _, letter := range "qxzjkvwybfgmpcdhlnrstuaeio0123456789" {
		if fresh := strings.Repeat(string(letter), 3); !named(fresh) {
			return fresh
		}
	}
	return strings.Repeat("q", 64)
}

// pathsOf are paths of a rule that as few others as possible are for: a star
// is what no pattern names, and a subtree goes on with that.
func (l *linter) pathsOf(r *policy.Rule) []string {
	path := ""
	for _, part := range r.Pattern().Parts() {
		pieces := part.Pieces
		if len(pieces) == 0 {
			pieces = []string{l.fresh}
		}
		path += "/" + strings.Join(pieces, l.fresh)
	}
	paths := []string{cmp.Or(path, "/")}
	for depth := len(r.Pattern().Parts()); r.Pattern().Subtree() && depth <= l.depth; depth++ {
		path += "/" + l.fresh
		paths = append(paths, path)
	}
	return paths
}

// alone tells of rules that are asked about one by one: query rules, and
// those that do not decide about a path of theirs that is like no other.
func (l *linter) alone(r *policy.Rule) bool {
	if r.Pattern().Queried() {
		return true
	}
	methods := r.Methods()
	if len(methods) == 0 {
		methods = l.methods
	}
	for _, path := range l.pathsOf(r) {
		for _, m := range methods {
			if slices.Contains(l.policy.RulesFor(m, path), r) {
				return false
			}
		}
	}
	return true
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
		e.grouped = e.grouped || len(r.Groups())+len(r.Users()) > 0
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
