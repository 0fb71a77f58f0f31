package policy

import (
	"slices"
	"strings"
	"time"

	"github.com/stepgate/stepgate/policy/target"
)

// Rule is one pattern of one rule, compiled. It is immutable.
type Rule struct {
	verb    Verb
	pattern Pattern
	levels  LevelSet
	methods []string
	pos     Position
	// mask has the methods' bits (Policy.methods); 0 means all methods.
	mask uint64
	// What its block says: noBlock for the many that have none.
	*ruleBlock
}

// ruleBlock is what stands in the block of a rule.
type ruleBlock struct {
	groups []string
	users  []string // folded
	raises []raise
	why    string
	until  time.Time
}

var noBlock ruleBlock

// Verb is what the rule does.
func (r *Rule) Verb() Verb { return r.verb }

// Pattern is the pattern as parsed; its String is what was written.
func (r *Rule) Pattern() Pattern { return r.pattern }

// Levels are the levels of `require`; empty for the other verbs.
func (r *Rule) Levels() LevelSet { return r.levels }

// Methods are the methods that the rule names; empty for all.
func (r *Rule) Methods() []string { return slices.Clone(r.methods) }

// Groups are the groups of which a person must be in one; empty for no limit.
func (r *Rule) Groups() []string { return slices.Clone(r.groups) }

// Users are the names of people who may pass beside the groups' members, as
// they are compared.
func (r *Rule) Users() []string { return slices.Clone(r.users) }

// Why is what the rule's author tells people who meet it; empty for nothing.
func (r *Rule) Why() string { return r.why }

// Until is the moment from which the rule weakens nothing any more; zero for
// never.
func (r *Rule) Until() time.Time { return r.until }

// expired tells whether the rule weakens nothing any more. Where the time is
// not known it is taken as passed.
func (r *Rule) expired(now time.Time) bool {
	return !r.until.IsZero() && (now.IsZero() || !now.Before(r.until))
}

// Raised is the union of the levels that raises in the rule's block may add.
func (r *Rule) Raised() LevelSet {
	var set LevelSet
	for i := range r.raises {
		set |= r.raises[i].level
	}
	return set
}

// Position is where the rule was written.
func (r *Rule) Position() Position { return r.pos }

// limited tells whether not everybody may pass the rule.
func (r *Rule) limited() bool { return len(r.groups)+len(r.users) > 0 }

// admits tells whether somebody may pass the rule's `group` and `user`: by
// one of the groups, or by name.
func (r *Rule) admits(who *Request) bool {
	if !r.limited() {
		return true
	}
	for _, g := range who.Groups {
		if slices.Contains(r.groups, g) {
			return true
		}
	}
	return len(r.users) > 0 && who.Username != "" && slices.Contains(r.users, target.FoldText(who.Username))
}

// endpoint holds the rules of one pattern, where they are not one plain rule.
type endpoint struct {
	// named has what holds for each method (Policy.methods), empty where no
	// rule names it; nil where no rule names a method. unnamed is what holds
	// for methods that no rule names; empty where every rule names methods.
	named   *[]ruling
	unnamed ruling
	rules   []*Rule
}

// ruling returns what holds for a method, or nil where no rule of the pattern
// matches it.
func (e *endpoint) ruling(method int) *ruling {
	if e.named != nil && (*e.named)[method].first != nil {
		return &(*e.named)[method]
	}
	if e.unnamed.first != nil {
		return &e.unnamed
	}
	return nil
}

// settle works out the rulings once all rules are in, and in order: rules that name the
// method beat those that name none, and those that tie hold together.
func (e *endpoint) settle(methods int) {
	e.unnamed = together(e.rules, func(r *Rule) bool { return r.mask == 0 })
	if !slices.ContainsFunc(e.rules, func(r *Rule) bool { return r.mask != 0 }) {
		return
	}
	named := make([]ruling, methods)
	e.named = &named
	for m := range named {
		named[m] = together(e.rules, func(r *Rule) bool { return r.mask&(1<<m) != 0 })
	}
}

// compareRules orders tied rules without regard to where they were written,
// as far as their contents differ.
func compareRules(a, b *Rule) int {
	return strings.Compare(a.sortKey(), b.sortKey())
}

func (r *Rule) sortKey() string {
	return string(r.verb) + " " + strings.Join(r.methods, " ") + " " + r.pattern.text + " " + r.pos.String()
}

// ruling is what rules that hold together say. Without rules it is empty.
type ruling struct {
	first  *Rule
	levels LevelSet
	deny   *Rule
	public bool
	// ends is set where some rule has an `until`.
	ends bool
	// asking are the rules whose say depends on more than path and method.
	asking []*Rule
	rules  []*Rule
}

// expired tells whether every rule weakens nothing any more, so that what
// would hold without them holds as well.
func (g *ruling) expired(now time.Time) bool {
	return g.ends && !slices.ContainsFunc(g.rules, func(r *Rule) bool { return !r.expired(now) })
}

func together(rules []*Rule, holds func(*Rule) bool) ruling {
	g := ruling{public: true}
	for _, r := range rules {
		if !holds(r) {
			continue
		}
		g.rules = append(g.rules, r)
		g.levels |= r.levels
		g.public = g.public && r.verb == VerbPublic
		if r.verb == VerbDeny && g.deny == nil {
			g.deny = r
		}
		g.ends = g.ends || !r.until.IsZero()
		if r.limited() || len(r.raises) > 0 {
			g.asking = append(g.asking, r)
		}
	}
	if len(g.rules) > 0 {
		g.first = g.rules[0]
	}
	return g
}
