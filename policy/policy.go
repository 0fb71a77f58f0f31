package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stepgate/stepgate/policy/target"
)

// Policy is a compiled Config. It is immutable and safe for concurrent use.
type Policy struct {
	levels []*Level
	// own are the site's levels; the bits above are built-in levels in their
	// built-in meaning, where the site has given them another.
	own  LevelSet
	once LevelSet
	// required has the built-in meanings of the built-in levels.
	required map[string]LevelSet
	// fingerprint is that of the levels (Fingerprint).
	fingerprint string
	// methods are those that rules name; the first, "", stands for all
	// others.
	methods []string
	rules   []Rule
	// paths finds the rules without, queries those with a query pattern.
	paths, queries *tree
	raises         []raise
	fallback       ruling
}

// CompileOptions is what compiling needs from outside.
type CompileOptions struct {
	// Matcher compiles a condition that is one of Caddy's matchers. Without
	// it such conditions are errors.
	Matcher func(ConditionConfig) (Condition, error)
}

// maxMethods is how many different methods rules may name.
const maxMethods = 63

// Compile checks c and makes it ready to decide. The error has all findings,
// one a line, each with FILE:LINE, the word, what was expected and the
// nearest known word. c is not kept.
func Compile(c *Config, o CompileOptions) (*Policy, error) {
	p := &Policy{methods: []string{""}, paths: newTree(c.patterns()), rules: make([]Rule, 0, c.patterns())}
	if err := p.compile(c, o, func(r Rule) { p.rules = append(p.rules, r) }); err != nil {
		return nil, err
	}
	p.index()
	p.fingerprint = fingerprint(p.levels)
	return p, nil
}

// patterns is how many rules are compiled of a Config: one for each pattern.
func (c *Config) patterns() int {
	n := 0
	for i := range c.Rules {
		n += len(c.Rules[i].Patterns)
	}
	return n
}

// Check gives the error that Compile would, and keeps nothing: with many rules
// it takes a fraction of the time and hardly any memory.
func Check(c *Config, o CompileOptions) error {
	p := &Policy{methods: []string{""}}
	return p.compile(c, o, func(Rule) {})
}

// compile compiles everything but the rules' trees; add gets each rule.
func (p *Policy) compile(c *Config, o CompileOptions, add func(Rule)) error {
	m := &mistakes{}
	p.defineLevels(c.Levels, m)
	for i := range c.Rules {
		p.compileRule(&c.Rules[i], at(c.Rules[i].Pos, "rule %d", i+1), o, m, add)
	}
	p.raises = p.compileRaises(c.Raises, place{}, o, m)
	p.compileDefault(c, m)
	return m.err()
}

func (p *Policy) compileRule(c *RuleConfig, where place, o CompileOptions, m *mistakes, add func(Rule)) {
	rule := Rule{verb: c.Verb, pos: c.Pos, ruleBlock: p.compileBlock(c, where, o, m)}
	rule.verb, rule.levels = p.ruleLevels(c, where, m)
	rule.levels = p.aged(rule.levels, c, where, m)
	rule.methods, rule.mask = p.ruleMethods(c.Methods, where, m)
	if rule.verb != VerbRequire && len(c.Groups)+len(c.Users)+len(c.Raises) > 0 {
		m.add(where, string(rule.verb), "a block with `group`, `user` or `raise` belongs to `require`")
	}
	if len(c.Patterns) == 0 {
		m.add(where, string(c.Verb), "without a pattern; expected a path like `/cases/*`")
	}
	for _, text := range c.Patterns {
		pattern, err := ParsePattern(text)
		if err != nil {
			m.add(where, text, "%v", err)
			continue
		}
		if pattern.Queried() && rule.verb == VerbPublic {
			m.add(where, text, "a query pattern only ever adds to what its path needs; `public` adds nothing")
			continue
		}
		rule.pattern = pattern
		add(rule)
	}
}

func (p *Policy) compileBlock(c *RuleConfig, where place, o CompileOptions, m *mistakes) *ruleBlock {
	if len(c.Groups)+len(c.Users)+len(c.Raises) == 0 && c.Why == "" && c.Until.IsZero() {
		return &noBlock
	}
	b := &ruleBlock{groups: slices.Clone(c.Groups), why: c.Why, until: c.Until}
	for _, name := range c.Users {
		b.users = append(b.users, target.FoldText(name))
	}
	b.raises = p.compileRaises(c.Raises, where, o, m)
	return b
}

// ruleLevels returns the verb and the levels of a rule. `require public` is
// `public`.
func (p *Policy) ruleLevels(c *RuleConfig, where place, m *mistakes) (Verb, LevelSet) {
	switch {
	case c.Verb != VerbPublic && c.Verb != VerbDeny && c.Verb != VerbRequire:
		m.unknown(where, string(c.Verb), "verb", []string{string(VerbPublic), string(VerbDeny), string(VerbRequire)})
		return c.Verb, 0
	case c.Verb != VerbRequire && len(c.Levels) > 0:
		m.add(where, c.Levels[0], "`%s` takes no level", c.Verb)
		return c.Verb, 0
	case c.Verb != VerbRequire:
		return c.Verb, 0
	case len(c.Levels) == 0:
		m.add(where, "require", "without a level; expected `require LEVEL [METHOD…] PATTERN…`")
		return c.Verb, 0
	case len(c.Levels) == 1 && c.Levels[0] == LevelPublic:
		return VerbPublic, 0
	}
	var set LevelSet
	for _, name := range c.Levels {
		if name == LevelPublic {
			m.add(where, name, "`public` does not go together with other levels")
			continue
		}
		set |= p.levelNamed(where, name, m)
	}
	return c.Verb, set
}

// aged returns levels whose proofs a rule's max_age ages: levels of their own,
// which have the names of those that they are made of.
func (p *Policy) aged(set LevelSet, c *RuleConfig, where place, m *mistakes) LevelSet {
	if c.MaxAge == 0 {
		return set
	}
	if c.MaxAge < 0 {
		m.add(where, c.MaxAge.String(), "`max_age` is longer than nothing; write it like `10m`")
		return set
	}
	var out LevelSet
	ages := false
	for _, l := range p.Levels() {
		switch {
		case l.set&set == 0:
		case len(l.alternatives) == 0 || l.maxAge > 0 && l.maxAge <= time.Duration(c.MaxAge):
			out |= l.set
			ages = ages || len(l.alternatives) > 0
		default:
			out |= p.agedLevel(l, time.Duration(c.MaxAge), where, m)
			ages = true
		}
	}
	if !ages {
		m.add(where, "max_age", "ages proofs, and the rule asks for none beyond the sign-in")
	}
	return out
}

func (p *Policy) agedLevel(l *Level, maxAge time.Duration, where place, m *mistakes) LevelSet {
	aged := *l
	aged.maxAge = maxAge
	for _, known := range p.levels {
		if known.name == l.name && known.once == l.once && known.means(&aged) {
			return known.set
		}
	}
	if len(p.levels) == maxLevels {
		m.add(where, "max_age", "more than %d levels with their ages", maxLevels)
		return l.set
	}
	return p.addLevel(&aged)
}

// levelNamed returns the level's set; `public` is the empty one.
func (p *Policy) levelNamed(where place, name string, m *mistakes) LevelSet {
	if l, ok := p.Level(name); ok {
		return l.set
	}
	known := []string{LevelPublic}
	for _, l := range p.Levels() {
		known = append(known, l.name)
	}
	m.unknown(where, name, "level", known)
	return 0
}

// knownMethods are those for which a misspelling is looked for.
var knownMethods = []string{
	"CONNECT", "COPY", "DELETE", "GET", "HEAD", "LOCK", "MKCOL", "MOVE", "OPTIONS", "PATCH", "POST", "PROPFIND",
	"PROPPATCH", "PUT", "QUERY", "REPORT", "SEARCH", "TRACE", "UNLOCK",
}

// KnownMethods are the methods that are in use.
func KnownMethods() []string { return slices.Clone(knownMethods) }

// IsKnownMethod tells whether a method, in capitals, is one of them.
func IsKnownMethod(name string) bool { return slices.Contains(knownMethods, name) }

func (p *Policy) ruleMethods(words []string, where place, m *mistakes) (names []string, mask uint64) {
	for _, word := range words {
		name := strings.ToUpper(word)
		if name == "HEAD" && !slices.ContainsFunc(words, func(w string) bool { return strings.EqualFold(w, "GET") }) {
			m.add(where, word, "asks what `GET` asks; name `GET`")
		}
		if !token(name) {
			m.add(where, word, "not a method")
			continue
		}
		if !slices.Contains(knownMethods, name) {
			if near := Nearest(name, knownMethods); near != "" {
				m.add(where, word, "no such method; did you mean `%s`?", near)
			}
		}
		name = asked(name)
		bit := slices.Index(p.methods, name)
		if bit < 0 {
			bit = len(p.methods)
			p.methods = append(p.methods, name)
			if bit > maxMethods {
				m.add(where, word, "more than %d different methods", maxMethods)
				return nil, 0
			}
		}
		if mask&(1<<bit) == 0 {
			names = append(names, name)
			mask |= 1 << bit
		}
	}
	slices.Sort(names)
	return names, mask
}

// token tells whether a method is one by RFC 9110 §5.6.2.
func token(name string) bool {
	for _, b := range []byte(name) {
		if b <= ' ' || b >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, b) >= 0 {
			return false
		}
	}
	return name != ""
}

func (p *Policy) compileDefault(c *Config, m *mistakes) {
	where := at(c.DefaultPos, "default")
	rule := &Rule{verb: VerbRequire, pos: c.DefaultPos, ruleBlock: &noBlock}
	words := c.Default
	if len(words) == 0 {
		words = []string{LevelMFA}
	}
	for _, word := range words {
		switch {
		case len(words) > 1 && (word == LevelPublic || word == string(VerbDeny)):
			m.add(where, word, "does not go together with other words")
		case word == LevelPublic:
			rule.verb = VerbPublic
		case word == string(VerbDeny):
			rule.verb = VerbDeny
		default:
			rule.levels |= p.levelNamed(where, word, m)
		}
	}
	p.fallback = together([]*Rule{rule}, func(*Rule) bool { return true })
}

// index puts the rules into their trees. The rules stay where they are from
// here on: decisions point to them.
func (p *Policy) index() {
	for i := range p.rules {
		t := p.paths
		if p.rules[i].pattern.Queried() {
			if p.queries == nil {
				p.queries = newTree(0)
				p.queries.queried = true
			}
			t = p.queries
		}
		t.add(p.rules, uint32(i))
	}
	p.paths.freeze(p.rules, len(p.methods))
	if p.queries != nil {
		p.queries.freeze(p.rules, len(p.methods))
	}
}

// Levels lists the site's levels: the built-in ones but `public` first, then
// its own by name.
func (p *Policy) Levels() []*Level { return slices.Clone(p.levels[:p.own.Len()]) }

// Level finds a level of the site by name. `public` is none: it asks for
// nothing.
func (p *Policy) Level(name string) (*Level, bool) {
	for _, l := range p.levels[:p.own.Len()] {
		if l.name == name {
			return l, true
		}
	}
	return nil, false
}

// LevelNames names the levels of a set that is needed or missing, each once:
// a built-in level that an organisation asks for has the same name as the
// site's own of that name, and may have another meaning.
func (p *Policy) LevelNames(set LevelSet) []string {
	names := []string{}
	for _, l := range p.levels {
		if l.set&set != 0 && !slices.Contains(names, l.name) {
			names = append(names, l.name)
		}
	}
	return names
}

// MetNames names the levels of a set that is met: those of the site's policy,
// in the meaning it gives them.
func (p *Policy) MetNames(set LevelSet) []string { return p.LevelNames(set & p.own) }

// Required returns what requirements of organisation and account come to:
// built-in levels in their built-in meaning, whatever the site makes of them.
// It fails when a name is not that of a built-in level; then nothing may be
// allowed.
func (p *Policy) Required(names []string) (LevelSet, error) {
	var set LevelSet
	for _, name := range names {
		one, ok := p.required[name]
		if !ok {
			return 0, fmt.Errorf("policy: `%s` is required and no built-in level", name)
		}
		set |= one
	}
	return set, nil
}

// MaxAge returns the shortest max_age of a set's levels; 0 where none has
// one.
func (p *Policy) MaxAge(set LevelSet) time.Duration {
	var least time.Duration
	for _, l := range p.levels {
		if l.set&set != 0 && l.maxAge > 0 && (least == 0 || l.maxAge < least) {
			least = l.maxAge
		}
	}
	return least
}

// Rules lists the compiled rules, one for each pattern, in written order.
func (p *Policy) Rules() []*Rule {
	rules := make([]*Rule, len(p.rules))
	for i := range rules {
		rules[i] = &p.rules[i]
	}
	return rules
}

// Default is what a path needs that no rule matches, as a rule without a
// pattern.
func (p *Policy) Default() *Rule { return p.fallback.rules[0] }
