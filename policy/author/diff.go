package author

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/stepgate/stepgate/policy"
	"github.com/stepgate/stepgate/policy/exact"
)

// Direction is how a change goes.
type Direction string

// The directions. Both says that some proofs that passed no longer do, and
// others pass that did not. Undecided says that it depends on conditions of
// which only the text is known.
const (
	Weaker    Direction = "weaker"
	Both      Direction = "both"
	Undecided Direction = "undecided"
	Stronger  Direction = "stronger"
)

// MayWeaken tells whether somebody may pass who did not.
func (d Direction) MayWeaken() bool { return d != Stronger && d != Changed }

// Change is one difference between two policies, with a request that shows
// it: the evaluator was asked about that by both.
type Change struct {
	Direction Direction `json:"change"`
	// Pattern is that of a rule of either; "default" for what no rule
	// matches.
	Pattern string `json:"pattern"`
	// Methods are those for which it holds, "*" for those that no rule
	// names; empty means all.
	Methods []string `json:"methods"`
	// When is set where it holds only in some circumstances, Group where it
	// holds only for members of that group.
	When  string `json:"when,omitempty"`
	Group string `json:"group,omitempty"`
	// Because are the conditions on which an undecided change depends.
	Because []string `json:"because,omitempty"`
	// Request shows it, in the words of an assertion.
	Request string `json:"request"`
	// Suffices are proofs that now do and did not; "nothing" where it is
	// public. It is empty for what is stronger.
	Suffices []string `json:"suffices,omitempty"`
	// Old and New are what was and is needed, in the words of an assertion.
	Old []string `json:"old"`
	New []string `json:"new"`
	// Levels are those needed before and after that have kept their name and
	// not their meaning: "admin: accept webauthn -> accept webauthn totp".
	Levels []string `json:"levels,omitempty"`
	// OldRule and NewRule decide; nil for the default.
	OldRule *policy.RuleExplanation `json:"old_rule"`
	NewRule *policy.RuleExplanation `json:"new_rule"`

	facts Facts
}

// fallbackPattern stands for what no rule matches.
const fallbackPattern = "default"

// Difference is all that differs between two policies.
type Difference struct {
	Changes []Change
	// Complete tells that nothing was left out: what is not among the
	// changes needs what it needed. It is not where conditions, globs or
	// paths are more than can be gone through.
	Complete bool
}

// Diff compares two policies on every path, by every method, in every
// circumstance that their conditions tell apart at now and when rules end.
func Diff(was, is *Site, now time.Time) (Difference, error) {
	m, err := newModels(was, is)
	if err != nil {
		return Difference{}, err
	}
	d := &differ{models: m, was: m.sites[0], is: m.sites[1], now: now, kept: map[string]int{}, told: map[string]struct{}{}, shownBy: map[rulePair]bool{}, known: map[[2]need]*step{}}
	d.aligned = d.was.globals == d.is.globals && sameScripts(d.was.side, d.is.side)
	found, complete := exact.Walk(m.table, m.sides(), exact.Options{Same: d.aligned}, d.judge)
	d.incomplete = d.incomplete || !complete
	for _, f := range found {
		d.tell(f.Path, f.Verdict)
	}
	d.tellMasked()
	for i := range d.changes {
		d.changes[i].Methods = d.shown(d.changes[i].Methods)
	}
	slices.SortStableFunc(d.changes, func(a, b Change) int {
		return cmp.Or(cmp.Compare(rank(a.Direction), rank(b.Direction)), cmp.Compare(a.Pattern, b.Pattern), cmp.Compare(a.When, b.When))
	})
	return Difference{d.changes, !d.incomplete}, nil
}

func sameScripts(a, b exact.Side) bool {
	return slices.EqualFunc(a.Scripts, b.Scripts, func(x, y exact.Glob) bool { return slices.Equal(x, y) }) &&
		slices.EqualFunc(a.ScriptDirs, b.ScriptDirs, func(x, y []string) bool { return slices.Equal(x, y) })
}

// differ is one comparison.
type differ struct {
	*models
	was, is    *model
	now        time.Time
	aligned    bool
	incomplete bool
	changes    []Change
	kept       map[string]int
	told       map[string]struct{}
	// shownBy are the pairs of rules that some change is about.
	shownBy map[rulePair]bool
	masked  []maskedChange
	// known has what is known by what was and is needed.
	known map[[2]need]*step
}

// verdict is a change at the paths of one cell.
type verdict struct {
	direction Direction
	method    string
	case_     *circumstance
	when      []string
	group     string
	because   []string
	// words are those of an undecided one's case.
	words []string
}

// judge compares what both say of a cell, by every method.
func (d *differ) judge(c exact.Cell) []verdict {
	a := d.aspectsOf(c)
	dims := a.dimensions(d.now)
	if a.unknown {
		d.incomplete = true
	}
	var verdicts []verdict
	for _, claimed := range d.claims(a) {
		for _, method := range d.methods {
			if claimed <= method && claimed != "" {
				continue
			}
			one := &comparison{differ: d, dims: dims, path: c.Path, method: method, claimed: claimed}
			verdicts = append(verdicts, one.run()...)
		}
	}
	return verdicts
}

// claims lists the methods that a request claims beside its own: none, but
// where a raise asks about several at once.
func (d *differ) claims(a *aspects) []string {
	if !a.manyMethods {
		return []string{""}
	}
	return append([]string{""}, d.methods...)
}

// is put to both policies as a client would send it.
func (d *differ) tell(path string, v verdict) {
	told := fmt.Sprint(v.direction, v.method, v.when, v.group, path)
	if _, known := d.told[strings.TrimSuffix(told, "/")]; known {
		return // a slash at the end brings nothing new
	}
	d.told[told] = struct{}{}
	raw := rawPath(path)
	if v.case_.query != "" {
		raw += "?" + v.case_.query
	}
	was, ok := d.was.replay(d.requestMethod(v.method), raw, v.case_)
	is, okToo := d.is.replay(d.requestMethod(v.method), raw, v.case_)
	if !ok || !okToo {
		return // no client's target is read as this path
	}
	pair := rulePair{
		v.direction, v.method,
		d.was.decide(v.method, path, v.case_).Rule, d.is.decide(v.method, path, v.case_).Rule,
	}
	way := v.direction
	if way != Undecided {
		if way = direction(d.was.policy, needOf(was.Decision), d.is.policy, needOf(is.Decision)); !goesToo(way, v.direction) {
			v.direction = Undecided
			v.because = []string{"every spelling of " + raw + " is also read in another way, which needs what it needed"}
			d.masked = append(d.masked, maskedChange{pair, v, raw, was, is})
			return
		}
	}
	d.shownBy[pair] = true
	d.keep(way, v, raw, was, is)
}

// rulePair is which rules decide about a path before and after.
type rulePair struct {
	direction Direction
	method    string
	was, is   *policy.Rule
}

// maskedChange is one that no request shows: of the path alone it holds.
type maskedChange struct {
	pair    rulePair
	verdict verdict
	raw     string
	was, is policy.Explanation
}

// tellMasked tells what no request shows, where nothing shows the same two
// rules at another path.
func (d *differ) tellMasked() {
	for _, m := range d.masked {
		if !d.shownBy[m.pair] {
			d.shownBy[m.pair] = true
			d.keep(Undecided, m.verdict, m.raw, m.was, m.is)
		}
	}
}

// keep adds a change, or its method to one that is otherwise the same.
func (d *differ) keep(way Direction, v verdict, raw string, was, is policy.Explanation) {
	c := Change{
		Direction: way, When: strings.Join(v.when, " and "), Group: v.group, Because: v.because, Methods: []string{v.method},
		Old: Answer{Explanation: was}.says(), New: Answer{Explanation: is}.says(), OldRule: was.Rule, NewRule: is.Rule,
		Pattern: patternOf(was.Decision.Rule, is.Decision.Rule), Levels: d.redefined(was.Decision.Needed, is.Decision.Needed),
	}
	key := fmt.Sprint(c.Direction, c.Pattern, c.When, c.Group, c.Because, c.Old, c.New) + fmt.Sprintf(" %p %p", was.Decision.Rule, is.Decision.Rule)
	if at, known := d.kept[key]; known {
		addTo(&d.changes[at].Methods, v.method)
		return
	}
	d.kept[key] = len(d.changes)
	c.facts = v.case_.facts
	c.facts.Method, c.facts.Target = d.requestMethod(v.method), raw
	c.Request = c.facts.request(v)
	if c.Direction != Stronger {
		c.Suffices = d.suffices(was.Decision, is.Decision)
	}
	d.changes = append(d.changes, c)
}

// redefined tells of levels of both sets that mean something else now.
func (d *differ) redefined(was, is policy.LevelSet) []string {
	var list []string
	for _, l := range d.was.policy.Levels() {
		now, ok := d.is.policy.Level(l.Name())
		if ok && was.Has(l.Set()) && is.Has(now.Set()) && d.was.policy.Meaning(l.Set()) != d.is.policy.Meaning(now.Set()) {
			list = append(list, l.Name()+": "+levelText(l)+" -> "+levelText(now))
		}
	}
	return list
}

// levelText is what a level's block says of when it is met, on one line.
func levelText(l *policy.Level) string {
	words := []string{"accept"}
	for _, factors := range l.Alternatives() {
		var together []string
		for _, f := range factors {
			together = append(together, string(f))
		}
		words = append(words, strings.Join(together, "+"))
	}
	if l.MaxAge() > 0 {
		words = append(words, "max_age", policy.Duration(l.MaxAge()).String())
	}
	if l.Once() {
		words = append(words, "once")
	}
	return strings.Join(words, " ")
}

func goesToo(found, wanted Direction) bool { return found == wanted || found == Both }

// replay asks the evaluator as the handler does.
func (m *model) replay(method, raw string, c *circumstance) (policy.Explanation, bool) {
	readings, refusal := m.site.read(raw)
	if refusal != nil {
		return policy.Explanation{}, false
	}
	r := c.request(method, &readings)
	return m.policy.Explain(&r), true
}

// requestMethod is one that a request shows: for all those that no rule
// names, one that is in use.
func (m *models) requestMethod(method string) string {
	if method != otherMethod {
		return method
	}
	for _, name := range []string{"GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"} {
		if !slices.Contains(m.methods, name) {
			return name
		}
	}
	return otherMethod
}

// patternOf names a change by the rule that made it: of two, the one that asks
// for a query, or whose pattern the other covers.
func patternOf(was, is *policy.Rule) string {
	switch {
	case was == nil && is == nil:
		return fallbackPattern
	case was == nil:
		return is.Pattern().String()
	case is == nil:
		return was.Pattern().String()
	}
	a, b := was.Pattern(), is.Pattern()
	switch {
	case a.Queried() != b.Queried():
		if a.Queried() {
			return a.String()
		}
		return b.String()
	case a.Covers(b):
		return b.String()
	case b.Covers(a):
		return a.String()
	default:
		return min(a.String(), b.String())
	}
}

// shown is a list of methods as a change has it.
func (d *differ) shown(methods []string) []string {
	if len(methods) == len(d.methods) {
		return []string{}
	}
	shown := slices.Clone(methods)
	for i, m := range shown {
		if m == otherMethod {
			shown[i] = "*"
		}
	}
	slices.Sort(shown)
	return shown
}

func rank(d Direction) int { return slices.Index([]Direction{Weaker, Both, Undecided, Stronger}, d) }

// need is what a decision comes to, to be compared.
type need struct {
	refused, deny, public bool
	levels                policy.LevelSet
}

func needOf(d policy.Decision) need {
	return need{deny: d.Outcome == policy.Deny, public: d.Public, levels: d.Needed}
}

// passes tells whether some proofs, or none, pass a and not b.
func passes(p *policy.Policy, a need, q *policy.Policy, b need) bool {
	switch {
	case a.refused || a.deny || b.public:
		return false
	case b.refused || b.deny || a.public:
		return true
	default:
		return p.WeakerThan(a.levels, q, b.levels)
	}
}

// direction compares what was needed with what is; empty for no change.
func direction(p *policy.Policy, was need, q *policy.Policy, is need) Direction {
	weaker, stronger := passes(q, is, p, was), passes(p, was, q, is)
	switch {
	case weaker && stronger:
		return Both
	case weaker:
		return Weaker
	case stronger:
		return Stronger
	default:
		return ""
	}
}

// rawPath writes a folded path as a client would send it.
func rawPath(path string) string {
	segments := strings.Split(path, "/")
	for i, s := range segments {
		parts := strings.Split(s, "%2f")
		for j := range parts {
			parts[j] = url.PathEscape(parts[j])
		}
		segments[i] = strings.Join(parts, "%2F")
	}
	return strings.Join(segments, "/")
}
