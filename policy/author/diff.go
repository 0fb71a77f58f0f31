package author

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/stepgate/stepgate/policy"
	"github.com/stepgate/stepgate/policy/target"
)

// Direction is how a change goes.
type Direction string

// The directions. Both says that some proofs that passed no longer do, and
// others pass that did not.
const (
	Weaker   Direction = "weaker"
	Stronger Direction = "stronger"
	Both     Direction = "both"
)

// Change is one difference between two policies.
type Change struct {
	Direction Direction `json:"change"`
	// Pattern is that of a rule of either; "default" for what no rule
	// matches.
	Pattern string `json:"pattern"`
	// Methods are those for which it holds, "*" for those that no rule
	// names; empty means all.
	Methods []string `json:"methods"`
	// When is set where it holds only while these conditions do, Group where
	// it holds only for members of that group alone.
	When  string `json:"when,omitempty"`
	Group string `json:"group,omitempty"`
	// Old and New are what was and is needed, in the words of an assertion.
	Old []string `json:"old"`
	New []string `json:"new"`
	// OldRule and NewRule decide; nil for the default.
	OldRule *policy.RuleExplanation `json:"old_rule"`
	NewRule *policy.RuleExplanation `json:"new_rule"`
}

// fallbackPattern stands for what no rule matches.
const fallbackPattern = "default"

// Diff tells what becomes weaker or stronger from one policy to the other, by
// pattern: at paths that stand for each pattern of either, by each method
// that either names, with no condition of a raise holding, each alone, and
// all together.
func Diff(was, is *Site) ([]Change, error) {
	d := &differ{}
	var err error
	if d.was, err = newSide(was); err != nil {
		return nil, fmt.Errorf("old policy: %w", err)
	}
	if d.is, err = newSide(is); err != nil {
		return nil, fmt.Errorf("new policy: %w", err)
	}
	d.patterns = append(patternsOf(d.was.policy), patternsOf(d.is.policy)...)
	d.methods = methodsOf(d.was.policy, d.is.policy)
	d.conditions = slices.Sorted(maps.Keys(union(d.was.conditions, d.is.conditions)))
	d.groups = slices.Sorted(maps.Keys(union(d.was.groups, d.is.groups)))
	d.run()
	return d.changes, nil
}

// side is one of the two policies, its conditions open to be set.
type side struct {
	policy     *policy.Policy
	reader     *target.Reader
	conditions map[string]bool
	groups     map[string]bool
}

// newSide compiles a policy anew, each raise with one condition in place of
// its own: that Request.Context has their text.
func newSide(s *Site) (*side, error) {
	out := &side{reader: s.Reader, conditions: map[string]bool{}, groups: map[string]bool{}}
	config := *s.Config
	config.Raises = out.open(config.Raises)
	config.Rules = slices.Clone(config.Rules)
	for i := range config.Rules {
		config.Rules[i].Raises = out.open(config.Rules[i].Raises)
		for _, g := range config.Rules[i].Groups {
			out.groups[g] = true
		}
	}
	var err error
	out.policy, err = policy.Compile(&config, policy.CompileOptions{Matcher: func(c policy.ConditionConfig) (policy.Condition, error) {
		return openCondition(c.Args[0]), nil
	}})
	return out, err
}

func (s *side) open(raises []policy.RaiseConfig) []policy.RaiseConfig {
	open := slices.Clone(raises)
	for i, r := range open {
		var texts []string
		for _, c := range r.Conditions {
			texts = append(texts, conditionText(c))
		}
		slices.Sort(texts)
		text := strings.Join(texts, " and ")
		s.conditions[text] = true
		open[i].Conditions = []policy.ConditionConfig{{Kind: "expression", Args: []string{text}, Pos: r.Pos}}
	}
	return open
}

func conditionText(c policy.ConditionConfig) string {
	if len(c.Args) == 0 && len(c.Raw) > 0 {
		var compact any
		if json.Unmarshal(c.Raw, &compact) == nil {
			c.Raw, _ = json.Marshal(compact)
		}
	}
	return c.String()
}

// openCondition holds where the request's Context, a map[string]bool, says.
type openCondition string

// Holds implements policy.Condition.
func (o openCondition) Holds(r *policy.Request) (bool, error) {
	holds, ok := r.Context.(map[string]bool)
	if !ok {
		return false, errors.New("author: no conditions are given")
	}
	return holds[string(o)], nil
}

// Reason implements policy.Condition.
func (openCondition) Reason() string { return "open" }

func union(a, b map[string]bool) map[string]bool {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

func patternsOf(p *policy.Policy) []policy.Pattern {
	var patterns []policy.Pattern
	for _, r := range p.Rules() {
		patterns = append(patterns, r.Pattern())
	}
	return patterns
}

// methodsOf lists the methods that rules of either name, behind one that none
// names.
func methodsOf(policies ...*policy.Policy) []string {
	methods := []string{otherMethod}
	for _, p := range policies {
		for _, r := range p.Rules() {
			for _, m := range r.Methods() {
				if !slices.Contains(methods, m) {
					methods = append(methods, m)
				}
			}
		}
	}
	slices.Sort(methods[1:])
	return methods
}

// differ is one comparison.
type differ struct {
	was, is    *side
	patterns   []policy.Pattern
	methods    []string
	conditions []string
	groups     []string
	changes    []Change
}

func (d *differ) run() {
	seen := map[string]bool{}
	for _, p := range d.patterns {
		if key := strings.ToLower(p.String()); !seen[key] {
			seen[key] = true
			d.at(p, p.String())
		}
	}
	if nowhere, err := policy.ParsePattern("/*"); err == nil && !seen["/*"] {
		d.at(nowhere, fallbackPattern)
	}
	for i := range d.changes {
		d.changes[i].Methods = d.shown(d.changes[i].Methods)
	}
	slices.SortStableFunc(d.changes, func(a, b Change) int {
		return cmp.Or(cmp.Compare(rank(a.Direction), rank(b.Direction)), cmp.Compare(a.Pattern, b.Pattern))
	})
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
	return shown
}

func rank(d Direction) int { return slices.Index([]Direction{Weaker, Both, Stronger}, d) }

// at compares at the witnesses of a pattern, under every circumstance.
func (d *differ) at(p policy.Pattern, name string) {
	for _, path := range policy.Witnesses(p, d.patterns) {
		raw := rawPath(path)
		if p.Queried() {
			raw += "?" + p.WitnessQuery()
		}
		for _, m := range d.methods {
			d.method(name, raw, m)
		}
	}
}

func (d *differ) method(name, raw, method string) {
	plain := d.compare(name, raw, method, nil, d.groups)
	if plain == nil {
		return
	}
	d.add(plain)
	for _, c := range d.conditions {
		d.addWhere(plain, d.compare(name, raw, method, []string{c}, d.groups), c, "")
	}
	if len(d.conditions) > 1 {
		d.addWhere(plain, d.compare(name, raw, method, d.conditions, d.groups), "all conditions hold", "")
	}
	for _, g := range append([]string{""}, d.groups...) {
		d.addWhere(plain, d.compare(name, raw, method, nil, []string{g}), "", cmp.Or(g, "(none)"))
	}
}

// addWhere adds a change that only a circumstance brings.
func (d *differ) addWhere(plain, c *Change, when, group string) {
	if c == nil || c.Direction == "" || same(c.Old, plain.Old) && same(c.New, plain.New) || plain.Direction == c.Direction && same(c.Old, c.New) {
		return
	}
	c.When, c.Group = when, group
	d.add(c)
}

// add keeps a change, together with what is the same for another method or
// another depth of the subtree.
func (d *differ) add(c *Change) {
	if c.Direction == "" {
		return
	}
	for i := range d.changes {
		o := &d.changes[i]
		if o.Pattern == c.Pattern && o.When == c.When && o.Group == c.Group && o.Direction == c.Direction && same(o.Old, c.Old) && same(o.New, c.New) {
			if !slices.Contains(o.Methods, c.Methods[0]) {
				o.Methods = append(o.Methods, c.Methods[0])
			}
			return
		}
	}
	d.changes = append(d.changes, *c)
}

// compare judges one request by both. It returns nil where the pattern is
// decisive in neither: another pattern's witness shows that.
func (d *differ) compare(name, raw, method string, holding, groups []string) *Change {
	was, ok := d.was.judge(raw, method, holding, groups)
	is, okToo := d.is.judge(raw, method, holding, groups)
	if !ok || !okToo || !was.names(name) && !is.names(name) {
		return nil
	}
	c := &Change{
		Pattern: name, Methods: []string{method}, Old: was.words(), New: is.words(), OldRule: was.Rule, NewRule: is.Rule,
	}
	c.Direction = direction(d.was.policy, was.need(), d.is.policy, is.need())
	return c
}

// judged is an explanation with its needs.
type judged struct{ policy.Explanation }

func (s *side) judge(raw, method string, holding, groups []string) (judged, bool) {
	readings, err := s.reader.Read(raw)
	if err != nil {
		return judged{}, false
	}
	holds := map[string]bool{}
	for _, c := range holding {
		holds[c] = true
	}
	return judged{s.policy.Explain(&policy.Request{
		Method: method, Target: &readings, SignedIn: true, Groups: groups, Context: holds,
	})}, true
}

// names tells whether a rule with the pattern holds at some reading.
func (j judged) names(pattern string) bool {
	return slices.ContainsFunc(j.Readings, func(r policy.ReadingExplanation) bool {
		return r.Default && pattern == fallbackPattern || slices.ContainsFunc(r.Rules, func(x policy.RuleExplanation) bool {
			return strings.EqualFold(x.Pattern, pattern)
		})
	})
}

func (j judged) words() []string { return Answer{Explanation: j.Explanation}.says() }

func (j judged) need() need { return needOf(j.Decision) }

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

// Render writes a change for people.
func (c Change) Render(w io.Writer) error {
	where := c.Pattern
	if len(c.Methods) > 0 {
		where += " for " + strings.Replace(strings.Join(c.Methods, ", "), "*", "other methods", 1)
	}
	if c.When != "" {
		where += ", when " + c.When
	}
	if c.Group != "" {
		where += ", for group " + c.Group
	}
	_, err := fmt.Fprintf(w, "%-9s %s\n          %s -> %s\n          was: %s\n          is:  %s\n",
		c.Direction, where, words(c.Old), words(c.New), ruleOrDefault(c.OldRule), ruleOrDefault(c.NewRule))
	return err
}

func ruleOrDefault(r *policy.RuleExplanation) string {
	if r == nil {
		return "the default"
	}
	return rule(*r)
}
