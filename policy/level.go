package policy

import (
	"math/bits"
	"slices"
	"strings"
	"time"
)

// LevelSet is a set of levels of one policy. Sets of different policies have
// nothing to do with each other: a reload gives levels new bits.
type LevelSet uint64

// maxLevels is how many levels a LevelSet has room for.
const maxLevels = 64

// Has tells whether all of other is in s.
func (s LevelSet) Has(other LevelSet) bool { return other&^s == 0 }

// Len is how many levels are in s.
func (s LevelSet) Len() int { return bits.OnesCount64(uint64(s)) }

// The names of the built-in levels.
const (
	LevelPublic            = "public"
	LevelSignedIn          = "signed_in"
	LevelMFA               = "mfa"
	LevelPhishingResistant = "phishing_resistant"
)

// BuiltInLevels lists the built-in levels that an organisation or an account
// may require.
func BuiltInLevels() []string {
	return []string{LevelSignedIn, LevelMFA, LevelPhishingResistant}
}

// EnrolDevice is the word in a level's `enrol` that stands for the choice
// between a public and a private device.
const EnrolDevice = "device"

// maxTogether is how many factors one alternative may ask for.
const maxTogether = 8

// Level is a named requirement, compiled. It is immutable.
type Level struct {
	name string
	set  LevelSet
	// alternatives is empty where being signed in is enough.
	alternatives []alternative
	maxAge       time.Duration
	once         bool
	enrol        []string
	pos          Position
	builtIn      bool
}

// alternative is factors that are needed together.
type alternative struct {
	factors []Factor
	// welded says that a soft token counts here only if it was made under
	// another second factor's proof: its place in built-in `mfa`.
	welded bool
}

// Name is the level's word.
func (l *Level) Name() string { return l.name }

// Set is the set with this level alone; empty for `public`.
func (l *Level) Set() LevelSet { return l.set }

// Alternatives lists the factors of each alternative. Empty means that being
// signed in is enough.
func (l *Level) Alternatives() [][]Factor {
	var list [][]Factor
	for _, a := range l.alternatives {
		list = append(list, slices.Clone(a.factors))
	}
	return list
}

// MaxAge is how old a proof may be; 0 means as old as the session.
func (l *Level) MaxAge() time.Duration { return l.maxAge }

// Once tells whether one proof opens one request.
func (l *Level) Once() bool { return l.once }

// Enrol lists what the level's enrolment walks through, in that order:
// factors, or EnrolDevice. Empty: the person chooses one alternative.
func (l *Level) Enrol() []string { return slices.Clone(l.enrol) }

// BuiltIn tells whether the name is that of a built-in level, also where the
// site has changed it.
func (l *Level) BuiltIn() bool { return l.builtIn }

// Position is where the level was defined; zero for an unchanged built-in.
func (l *Level) Position() Position { return l.pos }

func builtInLevel(name string) *Level {
	l := &Level{name: name, builtIn: true}
	switch name {
	case LevelMFA:
		for _, f := range builtInMFA() {
			l.alternatives = append(l.alternatives, alternative{factors: []Factor{f}, welded: f == DevicePIN})
		}
	case LevelPhishingResistant:
		l.alternatives = []alternative{{factors: []Factor{WebAuthn}}}
	}
	return l
}

// means tells whether the same proofs meet l and o.
func (l *Level) means(o *Level) bool {
	return l.maxAge == o.maxAge && l.once == o.once && slices.EqualFunc(l.alternatives, o.alternatives,
		func(a, b alternative) bool { return a.welded == b.welded && slices.Equal(a.factors, b.factors) })
}

// defineLevels gives every level its bit: built-in ones first, then the site's
// by name, so that written order never shows; then the built-in meaning of
// those that the site has changed.
func (p *Policy) defineLevels(configs []LevelConfig, m *mistakes) {
	own := map[string]*Level{}
	for _, name := range BuiltInLevels() {
		own[name] = builtInLevel(name)
	}
	seen := map[string]bool{}
	for i, c := range configs {
		where := at(c.Pos, "level %d", i+1)
		if !m.levelName(where, c.Name, seen) {
			continue
		}
		l := own[c.Name]
		if l == nil {
			l = &Level{name: c.Name}
			own[c.Name] = l
		}
		m.level(where, c, l)
	}
	names := slices.Sorted(func(yield func(string) bool) {
		for name := range own {
			if !slices.Contains(BuiltInLevels(), name) && !yield(name) {
				return
			}
		}
	})
	for _, name := range append(BuiltInLevels(), names...) {
		p.addLevel(own[name])
	}
	p.own = 1<<len(p.levels) - 1
	p.required = map[string]LevelSet{LevelPublic: 0}
	for _, name := range BuiltInLevels() {
		set := own[name].set
		if plain := builtInLevel(name); !own[name].means(plain) {
			set = p.addLevel(plain)
		}
		p.required[name] = set
	}
	if len(p.levels) > maxLevels {
		m.add(at(Position{}, "policy"), "", "%d levels; at most %d are possible", len(p.levels), maxLevels)
	}
}

func (p *Policy) addLevel(l *Level) LevelSet {
	l.set = 1 << len(p.levels)
	p.levels = append(p.levels, l)
	if l.once {
		p.once |= l.set
	}
	return l.set
}

func (m *mistakes) levelName(where place, name string, seen map[string]bool) bool {
	switch {
	case name == LevelPublic:
		m.add(where, name, "means that no sign-in is needed; it cannot be changed")
	case name == string(VerbDeny) || !plainWord(name):
		m.add(where, name, "a level's name is letters, digits, `_` and `-`, and not `deny`")
	case seen[name]:
		m.add(where, name, "level is defined twice")
	default:
		seen[name] = true
		return true
	}
	return false
}

func plainWord(name string) bool {
	return name != "" && strings.Trim(strings.ToLower(name), "abcdefghijklmnopqrstuvwxyz0123456789_-") == ""
}

// level fills l from c. l is a built-in level or empty.
func (m *mistakes) level(where place, c LevelConfig, l *Level) {
	l.pos, l.maxAge, l.once, l.enrol = c.Pos, time.Duration(c.MaxAge), c.Once, slices.Clone(c.Enrol)
	if len(c.Accept) > 0 {
		l.alternatives = nil
	}
	if len(c.Also) > 0 && !l.builtIn {
		m.add(where, "also", "widens a built-in level; in `%s` write `accept`", c.Name)
	}
	if len(c.Also) > 0 && len(c.Accept) == 0 && c.Name == LevelSignedIn {
		m.add(where, "also", "`signed_in` needs no factor that could have an alternative; `accept` replaces it")
	}
	for _, factors := range append(slices.Clone(c.Accept), c.Also...) {
		if c.Name == LevelPhishingResistant && slices.Contains(factors, Approval) && !slices.Contains(factors, WebAuthn) {
			m.add(where, string(Approval), "`phishing_resistant` never takes it: a page in between shows the number on, and the person approves for somebody else; name it in a level of your own")
		}
		if m.alternative(where, factors) && !slices.ContainsFunc(l.alternatives, func(a alternative) bool {
			return slices.Equal(a.factors, factors)
		}) {
			l.alternatives = append(l.alternatives, alternative{factors: slices.Clone(factors)})
		}
	}
	if len(c.Accept) == 0 && !l.builtIn {
		m.add(where, c.Name, "the level accepts nothing; expected `accept FACTOR…`")
	}
	if len(l.alternatives) == 0 && l.builtIn && (c.Once || c.MaxAge != 0) {
		m.add(where, c.Name, "`once` and `max_age` age the proofs that `accept` names; expected `accept FACTOR…`")
	}
	if c.MaxAge < 0 {
		m.add(where, c.MaxAge.String(), "`max_age` is longer than nothing; write it like `10m`")
	}
	for _, word := range c.Enrol {
		if known := append(factorWords(), EnrolDevice); !slices.Contains(known, word) {
			m.unknown(where, word, "step of enrolment", known)
		}
	}
}

func (m *mistakes) alternative(where place, factors []Factor) bool {
	before := len(m.found)
	for _, f := range factors {
		if !f.Known() {
			m.unknown(where, string(f), "factor", factorWords())
		}
	}
	for i, f := range factors {
		if f.Known() && f.Single() && slices.Contains(factors[:i], f) {
			m.add(where, string(f), "nobody has two of it, so that `%s+%s` could never be met", f, f)
		}
	}
	if len(factors) == 0 || len(factors) > maxTogether {
		m.add(where, "accept", "an alternative is one to %d factors joined by `+`", maxTogether)
	}
	return len(m.found) == before
}

func factorWords() []string {
	var words []string
	for _, f := range Factors() {
		words = append(words, string(f))
	}
	return words
}
