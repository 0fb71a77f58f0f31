package author

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stepgate/stepgate/policy"
	"github.com/stepgate/stepgate/policy/exact"
)

// models are the policies of some sites in the form in which all their paths
// can be gone through side by side.
type models struct {
	table   *exact.Table
	sites   []*model
	methods []string
	says    map[string]int32
	// meant has, by what rules say, what their conditions are about.
	meant []meaning
	// alone tells of rules that must not share a number with those that say
	// the same; nil for none.
	alone func(*policy.Rule) bool
	// epochs are the moments from which rules end.
	epochs []time.Time
}

// model is one of them.
type model struct {
	site *Site
	// policy is that of the site, its conditions of Caddy's open: they hold
	// as a circumstance says.
	policy *policy.Policy
	rules  []*policy.Rule
	side   exact.Side
	// globals tells what holds for every path: raises and the default.
	globals string
}

// meaning is what a rule says that depends on more than path and method.
type meaning struct {
	groups, users []string
	raises        []policy.Raise
	terms         []policy.Term
	until         time.Time
	rule          *policy.Rule
}

func newModels(sites ...*Site) (*models, error) {
	m := &models{says: map[string]int32{}, methods: []string{otherMethod}}
	var scripts []exact.Glob
	for _, s := range sites {
		one, err := newModel(s)
		if err != nil {
			return nil, err
		}
		globs, dirs := s.Reader.Scripts()
		for _, g := range globs {
			one.side.Scripts = append(one.side.Scripts, g)
		}
		one.side.ScriptDirs = dirs
		scripts = append(scripts, one.side.Scripts...)
		m.sites = append(m.sites, one)
		for _, r := range one.rules {
			addTo(&m.methods, r.Methods()...)
		}
		for _, a := range one.raises() {
			for _, c := range a.Conditions {
				m.methodsOf(c)
			}
		}
	}
	slices.Sort(m.methods[1:])
	m.table = exact.NewTable(scripts)
	for _, one := range m.sites {
		m.index(one)
	}
	return m, nil
}

// raises are all of a policy's, in rules too.
func (m *model) raises() []policy.Raise {
	all := m.policy.Raises()
	for _, r := range m.rules {
		all = append(all, r.Raises()...)
	}
	return all
}

func (m *models) methodsOf(c policy.ConditionConfig) {
	if c.Kind != "method" {
		return
	}
	for _, word := range c.Args {
		if word = strings.ToUpper(word); word == "HEAD" {
			word = "GET"
		}
		addTo(&m.methods, word)
	}
}

// openCondition is one of Caddy's: it holds as the circumstance says that is
// the request's Context.
type openCondition policy.ConditionConfig

// Holds implements policy.Condition.
func (o openCondition) Holds(r *policy.Request) (bool, error) {
	c, ok := r.Context.(*circumstance)
	if !ok {
		return false, errors.New("author: no circumstance is given")
	}
	return c.holds(policy.ConditionConfig(o)), nil
}

// Reason implements policy.Condition.
func (openCondition) Reason() string { return "open" }

func newModel(s *Site) (*model, error) {
	p := s.Policy
	if p == nil || asksMatchers(s.Config) {
		var err error
		if p, err = policy.Compile(s.Config, policy.CompileOptions{Matcher: func(c policy.ConditionConfig) (policy.Condition, error) {
			return openCondition(c), nil
		}}); err != nil {
			return nil, err
		}
	}
	m := &model{site: s, policy: p, rules: p.Rules()}
	m.globals = "default " + m.saysText(p.Default()) + "; raises " + m.raisesText(p.Raises())
	return m, nil
}

// asksMatchers tells whether some condition is one of Caddy's.
func asksMatchers(c *policy.Config) bool {
	asks := func(raises []policy.RaiseConfig) bool {
		return slices.ContainsFunc(raises, func(r policy.RaiseConfig) bool {
			return slices.ContainsFunc(r.Conditions, func(one policy.ConditionConfig) bool { return policy.IsMatcher(one.Kind) })
		})
	}
	return asks(c.Raises) || slices.ContainsFunc(c.Rules, func(r policy.RuleConfig) bool { return asks(r.Raises) })
}

// saysText is what a rule asks for, pattern and methods aside, in words that
// are the same for whatever asks the same, also of another policy.
func (m *model) saysText(r *policy.Rule) string {
	groups, users := r.Groups(), r.Users()
	slices.Sort(groups)
	slices.Sort(users)
	text := fmt.Sprintf("%s|%s|%q|%q|%s", r.Verb(), m.policy.Meaning(r.Levels()), groups, users, m.raisesText(r.Raises()))
	if !r.Until().IsZero() {
		text += "|until " + r.Until().UTC().Format(time.RFC3339)
	}
	for _, t := range r.Pattern().Terms() {
		text += fmt.Sprintf("|%q=%q", t.Name, t.Pieces)
	}
	return text
}

func (m *model) raisesText(raises []policy.Raise) string {
	var all []string
	for _, a := range raises {
		var conditions []string
		for _, c := range a.Conditions {
			conditions = append(conditions, conditionText(c))
		}
		slices.Sort(conditions)
		all = append(all, m.policy.Meaning(a.Level)+" when "+strings.Join(slices.Compact(conditions), " and "))
	}
	slices.Sort(all)
	return strings.Join(slices.Compact(all), "; ")
}

// index puts a policy's rules into tries.
func (m *models) index(one *model) {
	paths, queries := m.table.Build(), m.table.Build()
	plain := map[plainRule]int32{}
	var segments []exact.Segment
	for _, r := range one.rules {
		p := r.Pattern()
		segments = appendSegments(segments[:0], p)
		rule := exact.Rule{Segments: segments, Subtree: p.Subtree(), Slash: p.Slash(), Methods: m.mask(r.Methods()), Says: m.plainSaying(one, r, plain)}
		if !r.Until().IsZero() {
			rule.Passing = true
			if !slices.ContainsFunc(m.epochs, r.Until().Equal) {
				m.epochs = append(m.epochs, r.Until())
			}
		}
		if p.Queried() {
			queries.Add(rule)
		} else {
			paths.Add(rule)
		}
	}
	one.side.Paths, one.side.Queries = paths.Trie(), queries.Trie()
}

func appendSegments(list []exact.Segment, p policy.Pattern) []exact.Segment {
	for _, part := range p.Parts() {
		switch len(part.Pieces) {
		case 0:
			list = append(list, exact.Segment{Kind: exact.Free})
		case 1:
			list = append(list, exact.Segment{Kind: exact.Literal, Text: part.Pieces[0]})
		default:
			list = append(list, exact.Segment{Kind: exact.Globbed, Glob: part.Pieces})
		}
	}
	return list
}

// plainRule is all that a rule says that has neither a block nor a query.
type plainRule struct {
	verb   policy.Verb
	levels policy.LevelSet
}

// plainSaying is sayingOf, which it asks once for all plain rules that are
// alike.
func (m *models) plainSaying(one *model, r *policy.Rule, known map[plainRule]int32) int32 {
	if !r.Plain() || m.alone != nil && m.alone(r) {
		return m.sayingOf(one, r)
	}
	key := plainRule{r.Verb(), r.Levels()}
	id, ok := known[key]
	if !ok {
		id = m.sayingOf(one, r)
		known[key] = id
	}
	return id
}

func (m *models) mask(methods []string) uint64 {
	var mask uint64
	for _, name := range methods {
		mask |= 1 << slices.Index(m.methods, name)
	}
	return mask
}

func (m *models) sayingOf(one *model, r *policy.Rule) int32 {
	text := one.saysText(r)
	if m.alone != nil && m.alone(r) {
		text += fmt.Sprintf("|%p", r)
	}
	id, known := m.says[text]
	if !known {
		id = int32(len(m.meant))
		m.says[text] = id
		m.meant = append(m.meant, meaning{
			groups: r.Groups(), users: r.Users(), raises: r.Raises(), terms: r.Pattern().Terms(), until: r.Until(), rule: r,
		})
	}
	return id
}

func (m *models) sides() []exact.Side {
	var sides []exact.Side
	for _, one := range m.sites {
		sides = append(sides, one.side)
	}
	return sides
}

// aspectsOf gathers what rules that may hold in a cell ask about.
func (m *models) aspectsOf(c exact.Cell) *aspects {
	a := &aspects{moments: m.epochs}
	seen := map[int32]bool{}
	end := func(id int32) {
		for _, s := range m.table.End(id) {
			if seen[s.Says] {
				continue
			}
			seen[s.Says] = true
			meant := &m.meant[s.Says]
			addTo(&a.groups, meant.groups...)
			addTo(&a.users, meant.users...)
			a.raises(meant.raises)
			if len(meant.terms) > 0 {
				a.queries = append(a.queries, meant.terms)
			}
		}
	}
	for i, here := range c.Sides {
		a.raises(m.sites[i].policy.Raises())
		for _, lookUps := range [][]exact.LookUp{here.LookUps, here.Scripts} {
			for _, l := range lookUps {
				for _, tie := range l {
					for _, id := range tie {
						end(id)
					}
				}
			}
		}
		for _, id := range here.Queries {
			end(id)
		}
	}
	return a
}

// decide is what the evaluator says of a folded path in a circumstance.
func (m *model) decide(method, path string, c *circumstance) policy.Decision {
	readings := m.site.Reader.Only(path, c.query)
	r := c.request(method, &readings)
	return m.policy.Decide(&r)
}

// ordinary are the facts of an ordinary visit by somebody who signed in.
func ordinary(now time.Time) circumstance {
	f := Facts{SignedIn: true, Now: now, Organisation: "default", Country: "ZZ"}
	f.Complete(now)
	return circumstance{facts: f, open: map[string]bool{}}
}

// maxCircumstances bounds the cases of one cell and method.
const maxCircumstances = 20_000

// enumerate calls try for every circumstance, the ordinary first, with the
// indices of the values; it tells whether it was every one.
func enumerate(dims []dimension, now time.Time, try func(picked []int, c *circumstance)) (all bool) {
	picked := make([]int, len(dims))
	for n := 0; n < maxCircumstances; n++ {
		c := circumstanceOf(dims, picked, now)
		try(picked, c)
		at := 0
		for at < len(dims) {
			if picked[at]++; picked[at] < len(dims[at].values) {
				break
			}
			picked[at] = 0
			at++
		}
		if at == len(dims) {
			return true
		}
	}
	return false
}

func circumstanceOf(dims []dimension, picked []int, now time.Time) *circumstance {
	c := ordinary(now)
	for i, d := range dims {
		d.values[picked[i]].set(&c)
	}
	return &c
}

// cost orders circumstances: the fewer things are out of the ordinary, the
// better they show something.
func cost(dims []dimension, picked []int) int {
	n := 0
	for i, d := range dims {
		if picked[i] == 0 {
			continue
		}
		n += 1 + picked[i]
		if d.open != "" {
			n += 100
		}
		if d.values[picked[i]].odd {
			n += 1000
		}
	}
	return n
}
