package author

import (
	"slices"
	"strings"

	"github.com/stepgate/stepgate/policy"
)

// raises finds raises of what is needed anyway.
func (l *linter) raises() {
	for _, raise := range l.site.Config.Raises {
		if level, ok := l.policy.Level(raise.Level); ok && !l.raisesSomewhere(level.Set()) {
			l.addRaise(raise, "every path that is not public")
		}
	}
	for _, config := range l.site.Config.Rules {
		for _, raise := range config.Raises {
			if level, ok := l.policy.Level(raise.Level); ok && !l.raisesIn(config, level.Set()) {
				l.addRaise(raise, "the rule")
			}
		}
	}
}

func (l *linter) addRaise(raise policy.RaiseConfig, where string) {
	l.add(CodeRaiseAddsNothing, raise.Pos, "remove it, or raise a level that asks for more",
		"`raise %s` adds nothing: %s needs that without it", raise.Level, where)
}

// raisesSomewhere tells whether some path that is not public needs less. The
// last path is one that no rule names.
func (l *linter) raisesSomewhere(level policy.LevelSet) bool {
	adds := func(path string) bool {
		return slices.ContainsFunc(l.methods, func(m string) bool {
			e := together(l.policy.RulesFor(m, path))
			return !e.public && e.adds(l.policy, level)
		})
	}
	return adds("/"+l.fresh) || slices.ContainsFunc(l.rules, func(r *policy.Rule) bool {
		return slices.ContainsFunc(l.pathsOf(r), adds)
	})
}

// raisesIn tells whether somewhere a rule of config holds and less is needed.
func (l *linter) raisesIn(config policy.RuleConfig, level policy.LevelSet) bool {
	for _, r := range l.byPlace[config.Pos] {
		if !slices.Contains(config.Patterns, r.Pattern().String()) {
			continue
		}
		if r.Pattern().Queried() {
			return true
		}
		for _, path := range l.pathsOf(r) {
			for _, m := range l.methods {
				holding := l.policy.RulesFor(m, path)
				if slices.Contains(holding, r) && together(holding).adds(l.policy, level) {
					return true
				}
			}
		}
	}
	return false
}

// levels judges the levels themselves.
func (l *linter) levels() {
	for _, level := range l.policy.Levels() {
		if level.BuiltIn() && level.Position() == (policy.Position{}) && !l.used(level) {
			continue
		}
		l.unmeetable(level)
		l.knowledge(level)
		l.email(level)
	}
}

// used tells whether anything asks for the level.
func (l *linter) used(level *policy.Level) bool {
	if l.policy.Default().Levels().Has(level.Set()) {
		return true
	}
	raises := slices.Clone(l.site.Config.Raises)
	for _, r := range l.site.Config.Rules {
		raises = append(raises, r.Raises...)
	}
	return slices.ContainsFunc(l.rules, func(r *policy.Rule) bool { return r.Levels().Has(level.Set()) }) ||
		slices.ContainsFunc(raises, func(r policy.RaiseConfig) bool { return r.Level == level.Name() })
}

func (l *linter) unmeetable(level *policy.Level) {
	alternatives := level.Alternatives()
	if len(alternatives) == 0 {
		return
	}
	var missing []string
	for _, a := range alternatives {
		lacking := l.lacking(level, a)
		if lacking == "" {
			return
		}
		if !slices.Contains(missing, lacking) {
			missing = append(missing, lacking)
		}
	}
	l.add(CodeUnmeetable, level.Position(), "configure what is missing, or accept a factor that people can have",
		"nobody can meet the level `%s`: %s", level.Name(), strings.Join(missing, "; "))
}

// lacking says why an alternative of a level cannot be met, or nothing.
func (l *linter) lacking(level *policy.Level, alternative []policy.Factor) string {
	for _, f := range alternative {
		switch {
		case f == policy.Password && level.Once() && l.o.TypedElsewhere:
			return "`once` wants the password for each request, and where people sign in nobody asks for it anew"
		case !slices.Contains(l.o.Offered, f):
			return "no provider is configured for " + string(f)
		}
	}
	return ""
}

// knowledge finds alternatives that ask for nothing but what somebody knows.
func (l *linter) knowledge(level *policy.Level) {
	var found []string
	for _, a := range level.Alternatives() {
		if !slices.ContainsFunc(a, func(f policy.Factor) bool { return !f.Knowledge() }) {
			found = append(found, plus(a))
		}
	}
	if len(found) > 0 {
		l.add(CodeKnowledgeOnly, level.Position(), "add a possession factor to each alternative, such as totp+pin",
			"the level `%s` can be met by knowledge alone (%s): NIST SP 800-63B-4 §3.1.1.2 has no such authenticator beside the password, and OWASP ASVS 5.0 6.4.2 wants no secret questions at all; what was overheard once opens it for good",
			level.Name(), strings.Join(found, ", "))
	} else if AsksQuestions(level) {
		l.note(CodeQuestions, level.Position(), "accept a PIN, or nothing beside what is held",
			"the level `%s` asks security questions: OWASP ASVS 5.0 6.4.2 says that there should be none, and NIST SP 800-63B-4 §3.1.1.2 has no such authenticator; write down that this is a known departure",
			level.Name())
	}
}

// AsksQuestions tells whether security questions stand in some alternative of a
// level, which no standard wants.
func AsksQuestions(level *policy.Level) bool {
	return slices.ContainsFunc(level.Alternatives(), func(a []policy.Factor) bool { return slices.Contains(a, policy.SecurityQuestions) })
}

func (l *linter) email(level *policy.Level) {
	for _, a := range level.Alternatives() {
		others := slices.DeleteFunc(slices.Clone(a), func(f policy.Factor) bool { return f == policy.Email })
		if len(others) < len(a) && !slices.ContainsFunc(others, policy.Factor.Possession) {
			l.add(CodeEmailFactor, level.Position(), "leave e-mail to recovery and notices, and accept totp or webauthn",
				"the level `%s` accepts a code by e-mail (%s): NIST SP 800-63B-4 §3.1.3.1 says that e-mail shall not be used for out-of-band authentication, since a mailbox proves no possession and is often open with the very password",
				level.Name(), plus(a))
			return
		}
	}
}

func plus(factors []policy.Factor) string {
	var words []string
	for _, f := range factors {
		words = append(words, string(f))
	}
	return strings.Join(words, "+")
}
