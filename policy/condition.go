package policy

import (
	"cmp"
	"fmt"
	"slices"
)

// Condition is one fact that a raise asks about. Implementations are safe for
// concurrent use.
type Condition interface {
	// Holds tells whether it holds for r. An error, also one that says that
	// the fact is missing, raises: with `not` in front as well.
	Holds(r *Request) (bool, error)
	// Reason is its word in logs, in kebab case ("device", "client-ip").
	Reason() string
}

// negatable is a condition that is about several facts at once, of which each
// may raise: then `not` asks whether one of them fails it.
type negatable interface {
	Fails(r *Request) (bool, error)
}

// condition is a Condition in its place.
type condition struct {
	test   Condition
	not    bool
	config ConditionConfig
	// cost orders the conditions of a raise: what reads the body is last.
	cost int
}

// raises tells whether the condition counts as holding; failed says that it
// does because it erred.
func (c *condition) raises(r *Request) (raises, failed bool) {
	var holds bool
	var err error
	if n, ok := c.test.(negatable); ok && c.not {
		holds, err = n.Fails(r)
	} else {
		holds, err = c.test.Holds(r)
		holds = holds != c.not
	}
	return holds || err != nil, err != nil
}

// raise is a level with its conditions, all of which must hold.
type raise struct {
	level      LevelSet
	conditions []condition
	pos        Position
}

func (a *raise) holds(r *Request) bool {
	for i := range a.conditions {
		if raises, _ := a.conditions[i].raises(r); !raises {
			return false
		}
	}
	return true
}

// Costs of conditions: facts at hand, the request's head, its body.
const (
	costFact = iota
	costHead
	costBody
)

// conditionKind is how one word of the Caddyfile becomes a Condition.
type conditionKind struct {
	word string
	cost int
	// compile is nil for a matcher of Caddy's, which its own syntax and
	// CompileOptions.Matcher make a condition of.
	compile func(ConditionConfig) (Condition, error)
}

// conditionKinds is the table of conditions.
func conditionKinds() []conditionKind {
	return []conditionKind{
		{"device", costFact, compileDevice},
		{"risk", costFact, compileRisk},
		{"group", costFact, compileGroup},
		{"organisation", costFact, compileOrganisation},
		{"country", costFact, compileCountry},
		{"time", costFact, compileTime},
		{"method", costBody, compileMethod},
		{"form", costBody, compileForm},
		{"client_ip", costHead, nil},
		{"header", costHead, nil},
		{"query", costHead, nil},
		{"expression", costHead, nil},
	}
}

// ConditionKinds lists the words that a condition may begin with.
func ConditionKinds() []string {
	var kinds []string
	for _, k := range conditionKinds() {
		kinds = append(kinds, k.word)
	}
	slices.Sort(kinds)
	return kinds
}

// IsMatcher tells whether a condition's word is that of one of Caddy's
// matchers, whose own syntax follows it.
func IsMatcher(word string) bool {
	k, ok := conditionOf(word)
	return ok && k.compile == nil
}

func conditionOf(word string) (conditionKind, bool) {
	kinds := conditionKinds()
	i := slices.IndexFunc(kinds, func(k conditionKind) bool { return k.word == word })
	if i < 0 {
		return conditionKind{}, false
	}
	return kinds[i], true
}

// OwnCondition compiles a condition that is none of Caddy's.
func OwnCondition(c ConditionConfig) (Condition, error) {
	if k, ok := conditionOf(c.Kind); ok && k.compile != nil {
		return k.compile(c)
	}
	return nil, fmt.Errorf("`%s`: no condition of the gateway's own", c.Kind)
}

func (p *Policy) compileRaises(configs []RaiseConfig, outer place, o CompileOptions, m *mistakes) []raise {
	var raises []raise
	for i, c := range configs {
		where := at(c.Pos, "%sraise %d", inside(outer), i+1)
		a := raise{pos: c.Pos}
		if c.Level == LevelPublic {
			m.add(where, c.Level, "a raise adds a level; `public` is none")
		} else {
			a.level = p.levelNamed(where, c.Level, m)
		}
		if len(c.Conditions) == 0 {
			m.add(where, "raise", "without a condition; expected `raise LEVEL when CONDITION`, or `require`")
		}
		for j, cc := range c.Conditions {
			place := at(cc.Pos, "%s, condition %d", where, j+1)
			if compiled, ok := compileCondition(place, cc, o, m); ok {
				a.conditions = append(a.conditions, compiled)
			}
		}
		slices.SortStableFunc(a.conditions, func(x, y condition) int { return cmp.Compare(x.cost, y.cost) })
		raises = append(raises, a)
	}
	return raises
}

func inside(outer place) string {
	if outer == (place{}) {
		return ""
	}
	return outer.String() + ", "
}

func compileCondition(where place, c ConditionConfig, o CompileOptions, m *mistakes) (condition, bool) {
	kind, ok := conditionOf(c.Kind)
	if !ok {
		m.unknown(where, c.Kind, "condition", ConditionKinds())
		return condition{}, false
	}
	if kind.compile == nil {
		kind.compile = o.matcher
	}
	test, err := kind.compile(c)
	if err != nil {
		m.add(where, c.String(), "%v", err)
		return condition{}, false
	}
	c.Args, c.Raw = slices.Clone(c.Args), slices.Clone(c.Raw)
	return condition{test: test, not: c.Not, config: c, cost: kind.cost}, true
}

func (o CompileOptions) matcher(c ConditionConfig) (Condition, error) {
	if o.Matcher == nil {
		return nil, fmt.Errorf("Caddy's matchers are not available here")
	}
	return o.Matcher(c)
}
