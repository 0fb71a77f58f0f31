package policy

import (
	"math/bits"
	"slices"
	"time"

	"github.com/stepgate/stepgate/policy/target"
)

// Outcome is what happens to a request. The zero value denies.
type Outcome int

// The outcomes. A malformed target is refused with 400 before there is
// anything to decide.
const (
	Deny   Outcome = iota // 403
	StepUp                // sign-in or challenge first
	Allow
)

// String gives the outcome's word.
func (o Outcome) String() string {
	switch o {
	case Allow:
		return "allow"
	case StepUp:
		return "step-up"
	default:
		return "deny"
	}
}

// Decision is what a policy says about a request. The zero value denies.
type Decision struct {
	Outcome Outcome
	// Public is set where every reading is public: no sign-in, no store, no
	// requirement of the organisation matters.
	Public bool
	// Needed is all that the request needs, Missing what of it is not met.
	// Both are empty where a rule denies.
	Needed, Missing LevelSet
	// Once are the needed levels with `once` that are met. On Allow the
	// caller spends the proofs whose Once is that of the request before the
	// upstream sees anything.
	Once LevelSet
	// MaxAge is the shortest max_age of the needed levels, 0 for none.
	MaxAge time.Duration
	// Rule is the one that decided: that denied, or asked for what is
	// missing, or the first; nil where the default did.
	Rule *Rule
	// Reason is one of the Reason… words.
	Reason string
}

// Decide judges a request. It allocates nothing where the target is plain and
// Request.Met is known. It never fails: what cannot be judged is denied.
func (p *Policy) Decide(r *Request) Decision {
	e := evaluation{policy: p, request: r}
	return e.run()
}

// evaluation is one request on its way through one policy.
type evaluation struct {
	policy  *Policy
	request *Request
	trace   *Explanation // nil but for Explain

	met, needed LevelSet
	// raised and required are what of needed only came by a raise, or by the
	// organisation and the account.
	raised, required LevelSet
	private          bool
	denied           *Rule
	outside          *Rule // the rule whose group the person is not in
	rule             *Rule
	// pressing is set once rule is one that asks for what is missing.
	pressing bool

	// method is the index of the request's own method. branches is set when
	// a look-up met rules that name methods, so that claimed ones count.
	method   int
	branches bool
	others   uint64
	othersOK bool
	// exactly is set while a script is looked up: subtrees and the default
	// do not count.
	exactly bool
}

func (e *evaluation) run() Decision {
	p, r := e.policy, e.request
	e.met = p.metOf(r)
	e.method = p.methodIndex(asked(r.Method))
	if !r.judgeable() {
		return Decision{Reason: ReasonNothingToJudge}
	}
	e.readings(r.Target)
	for _, t := range r.Also {
		e.readings(t)
	}
	if e.denied != nil {
		return Decision{Rule: e.shown(e.denied), Reason: ReasonPathDenied}
	}
	if !e.private {
		return Decision{Outcome: Allow, Public: true, Rule: e.shown(e.rule), Reason: ReasonPublic}
	}
	for i := range p.raises {
		e.raise(&p.raises[i], nil)
	}
	if len(r.Requires) > 0 {
		required, err := p.Required(r.Requires)
		if err != nil {
			return Decision{Rule: e.shown(e.rule), Reason: ReasonRequireUnknown}
		}
		e.required = required &^ e.needed
		e.needed |= required
	}
	return e.conclude()
}

func (e *evaluation) conclude() Decision {
	p, r := e.policy, e.request
	d := Decision{Needed: e.needed, Missing: e.needed &^ e.met, Rule: e.shown(e.rule), MaxAge: p.MaxAge(e.needed)}
	if once := e.needed & p.once; once != 0 && r.SignedIn && r.Once != "" {
		d.Once = p.onceMet(once, r.Proofs, r.Once, r.Now)
		d.Missing &^= d.Once
	}
	switch {
	case !r.SignedIn:
		d.Outcome, d.Reason = StepUp, ReasonSignInNeeded
	case e.outside != nil:
		d.Outcome, d.Reason, d.Rule = Deny, ReasonGroupMissing, e.outside
	case d.Missing == 0:
		d.Outcome, d.Reason = Allow, ReasonLevelsMet
	case d.Missing&^(e.raised|e.required) != 0:
		d.Outcome, d.Reason = StepUp, ReasonLevelMissing
	case d.Missing&e.required != 0:
		d.Outcome, d.Reason = StepUp, ReasonLevelRequired
	default:
		d.Outcome, d.Reason = StepUp, ReasonLevelRaised
	}
	return d
}

// metOf returns the levels met, from the cache where the caller has one.
func (p *Policy) metOf(r *Request) LevelSet {
	switch {
	case !r.SignedIn:
		return 0
	case r.MetKnown:
		return r.Met &^ p.once
	default:
		return p.Met(r.Proofs, true, r.Now)
	}
}

func (p *Policy) methodIndex(method string) int {
	return max(slices.Index(p.methods[1:], method)+1, 0)
}

// shown hides the default, which is no rule.
func (e *evaluation) shown(r *Rule) *Rule {
	if r == e.policy.Default() {
		return nil
	}
	return r
}

func (e *evaluation) readings(t *target.Readings) {
	for i := range t.Len() {
		if e.denied != nil && e.trace == nil {
			return
		}
		path := t.Path(i)
		e.traceReading(t, i)
		e.path(path)
		// Servers take a slash at the end as they like, so that both hold.
		if n := len(path) - 1; n > 0 && path[n] == '/' {
			e.path(path[:n])
		}
		for script := range t.Scripts(i) {
			e.script(t, script)
		}
	}
}

// script adds what is said of the script that runs, whatever stands behind
// it: by patterns that are no subtree, because a subtree says it of what
// stands behind as well. Where there is none, nothing is added.
func (e *evaluation) script(t *target.Readings, path string) {
	e.traceScript(t, path)
	e.exactly = true
	e.path(path)
	e.exactly = false
	e.untraceScript()
}

// path judges one path, by every method that the request may be taken for.
func (e *evaluation) path(path string) {
	e.lookUp(path, e.method)
	if e.branches {
		for others := e.methods() &^ (1 << e.method); others != 0; others &= others - 1 {
			e.lookUp(path, bits.TrailingZeros64(others))
		}
	}
	if e.policy.queries != nil {
		e.all(e.policy.queries, []spot{0}, walk(path))
	}
}

func (e *evaluation) lookUp(path string, method int) {
	if !e.best(e.policy.paths, []spot{0}, walk(path), method) && !e.exactly {
		e.apply(&e.policy.fallback)
	}
}

// methods returns the bits of every method that the request may be taken for.
func (e *evaluation) methods() uint64 {
	if e.othersOK {
		return e.others
	}
	e.othersOK = true
	list, any := e.request.methods()
	for _, method := range list {
		e.others |= 1 << e.policy.methodIndex(method)
	}
	if any {
		e.others = 1<<len(e.policy.methods) - 1
	}
	return e.others
}

// apply adds what a ruling says to what the request needs.
func (e *evaluation) apply(g *ruling) {
	e.traceRuling(g)
	by := g.first
	if g.levels&^e.met != 0 {
		by = g.asker(e.met)
	}
	e.say(g.levels, g.public, g.deny, by)
	for _, r := range g.asking {
		e.ask(r)
	}
}

// applyPlain is apply for a rule that is alone and has neither methods nor a
// block.
func (e *evaluation) applyPlain(v *verdict, r *Rule) {
	e.traceRule(r)
	var deny *Rule
	if v.deny {
		deny = r
	}
	e.say(v.levels, v.public, deny, r)
}

// say adds levels that are needed; by is the rule that asks for them.
func (e *evaluation) say(levels LevelSet, public bool, deny, by *Rule) {
	if deny != nil && e.denied == nil {
		e.denied = deny
	}
	if !public {
		e.private = true
	}
	e.needed |= levels
	e.raised &^= levels
	if missing := levels&^e.met != 0; e.rule == nil || missing && !e.pressing {
		e.rule, e.pressing = by, missing
	}
}

// asker returns the first rule that asks for what is not met.
func (g *ruling) asker(met LevelSet) *Rule {
	for _, r := range g.rules {
		if r.levels&^met != 0 {
			return r
		}
	}
	return g.first
}

// ask applies what of a rule depends on more than path and method.
func (e *evaluation) ask(r *Rule) {
	if e.outside == nil && !r.admits(e.request) {
		e.outside = r
	}
	for i := range r.raises {
		e.raise(&r.raises[i], r)
	}
}

// raise adds the level of a raise whose conditions hold. Without a trace
// conditions of a level that is needed anyway are not looked at.
func (e *evaluation) raise(a *raise, in *Rule) {
	if e.trace == nil && e.needed.Has(a.level) {
		return
	}
	if !a.holds(e.request) {
		return
	}
	e.traceRaise(a, in)
	e.raised |= a.level &^ e.needed
	e.needed |= a.level
}

// queried adds the query rules of one pattern that hold for the request.
func (e *evaluation) queried(t *tree, at stop) {
	if at.kind == 0 {
		return
	}
	for _, r := range t.endpoints[at.kind-several].rules {
		if r.mask != 0 && r.mask&(1<<e.method) == 0 && r.mask&e.methods() == 0 {
			continue
		}
		if e.asksQuery(r) {
			e.add(r)
		}
	}
}

func (e *evaluation) asksQuery(r *Rule) bool {
	for i := range r.pattern.query {
		t := &r.pattern.query[i]
		if e.request.queried(t.name, &t.value) {
			continue
		}
		if fits, unreadable := e.request.field(t.name, &t.value); !fits && !unreadable {
			return false
		}
	}
	return true
}

// add applies one query rule.
func (e *evaluation) add(r *Rule) {
	e.traceRule(r)
	e.private = true
	if r.verb == VerbDeny && e.denied == nil {
		e.denied = r
	}
	e.needed |= r.levels
	e.raised &^= r.levels
	if missing := r.levels&^e.met != 0; missing && !e.pressing {
		e.rule, e.pressing = r, true
	}
	e.ask(r)
}
