package caddymodule

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/stepgate/stepgate/caddymodule/block"
	"github.com/stepgate/stepgate/policy"
	"github.com/stepgate/stepgate/policy/target"
)

// parsePolicy reads a policy block:
//
//	policy [report_only] {
//		level NAME { accept FACTOR[+FACTOR]… | also … | max_age SPAN | once | enrol … }
//		public  [METHOD…] PATTERN…
//		deny    [METHOD…] PATTERN…
//		require LEVEL [METHOD…] PATTERN… [{
//			group NAME…
//			user NAME…
//			raise LEVEL …
//			max_age SPAN
//			why TEXT
//			until YYYY-MM-DD
//		}]
//		default LEVEL…
//		raise LEVEL when CONDITION
//		raise LEVEL { CONDITION… }
//		scripts GLOB…
//		assert FILE
//	}
func parsePolicy(d *caddyfile.Dispenser, c *policy.Config) error {
	p := &policyParser{config: c}
	return block.Block{Name: "policy", Repeated: []string{"level", "public", "deny", "require", "raise", "assert", "scripts"}, Options: map[string]func(*caddyfile.Dispenser) error{
		"level":   p.level,
		"public":  p.rule,
		"deny":    p.rule,
		"require": p.rule,
		"raise":   p.raise,
		"default": p.fallback,
		"scripts": p.scripts,
		"assert":  p.assert,
	}}.Parse(d)
}

// checkPolicies finds what is wrong with the policies of a site where they are
// read, and which of their assertions do not hold, so that the messages come
// without the names of all the modules around them.
func (h *Handler) checkPolicies() error {
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	defer cancel()
	options := policy.CompileOptions{Matcher: matcherCompiler(ctx)}
	var errs []error
	for _, c := range []*policy.Config{h.Policy, h.ReportOnly} {
		if c != nil {
			errs = append(errs, policy.Check(c, options))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return h.checkAssertsAsRead(options)
}

type policyParser struct {
	config *policy.Config
	words  []string // of rules: room for many at once
}

// args are what is left of the line, in an array that many rules share.
func (p *policyParser) args(d *caddyfile.Dispenser) []string {
	if cap(p.words)-len(p.words) < 64 {
		p.words = make([]string, 0, 4096)
	}
	from := len(p.words)
	for d.NextArg() {
		p.words = append(p.words, d.Val())
	}
	return p.words[from:len(p.words):len(p.words)]
}

func (p *policyParser) level(d *caddyfile.Dispenser) error {
	level := policy.LevelConfig{Pos: block.Position(d)}
	if !d.NextArg() {
		return d.Err("level: expected a name")
	}
	level.Name = d.Val()
	if err := block.NoMore(d); err != nil {
		return err
	}
	err := block.Block{Name: "level " + level.Name, Repeated: []string{"accept", "also"}, Options: map[string]func(*caddyfile.Dispenser) error{
		"accept": alternatives(&level.Accept),
		"also":   alternatives(&level.Also),
		"max_age": func(d *caddyfile.Dispenser) (err error) {
			if level.MaxAge, err = block.PolicyDuration(d, "max_age"); err != nil {
				return err
			}
			return block.NoBlock(d)
		},
		"once":  block.Flag(&level.Once),
		"enrol": block.WordList(&level.Enrol),
	}}.Parse(d)
	p.config.Levels = append(p.config.Levels, level)
	return err
}

// alternatives reads FACTOR[+FACTOR]…; several lines add up.
func alternatives(into *[][]policy.Factor) func(*caddyfile.Dispenser) error {
	return func(d *caddyfile.Dispenser) error {
		option := d.Val()
		args := d.RemainingArgs()
		if len(args) == 0 {
			return d.Errf("%s: expected one or more factors, such as totp or sms+pin", option)
		}
		for _, arg := range args {
			var together []policy.Factor
			for f := range strings.SplitSeq(arg, "+") {
				if !policy.Factor(f).Known() {
					return d.Errf("%s: `%s`: no such factor%s", option, f, block.Expected(f, factorNames()))
				}
				together = append(together, policy.Factor(f))
			}
			*into = append(*into, together)
		}
		return block.NoBlock(d)
	}
}

func factorNames() []string {
	var names []string
	for _, f := range policy.Factors() {
		names = append(names, string(f))
	}
	return names
}

// rule reads `public|deny|require LEVEL [METHOD…] PATTERN… [{ … }]`.
func (p *policyParser) rule(d *caddyfile.Dispenser) error {
	rule := policy.RuleConfig{Verb: policy.Verb(d.Val()), Pos: block.Position(d)}
	rule.Levels, rule.Methods, rule.Patterns = policy.SplitRule(rule.Verb, p.args(d))
	for _, name := range rule.Levels {
		if big := strings.ToUpper(name); policy.IsKnownMethod(big) && !p.defines(name) {
			return d.Errf("%s: `%s`: write %s: methods are written in capitals", rule.Verb, name, big)
		}
	}
	if rule.Verb == policy.VerbRequire && len(rule.Levels) == 0 {
		return d.Err("require: expected a level first, as in `require mfa /cases/*`")
	}
	for _, pattern := range rule.Patterns {
		if !isPattern(pattern) {
			return d.Errf("%s: `%s`: expected a path that begins with /%s", rule.Verb, pattern, methodHint(pattern))
		}
	}
	if len(rule.Patterns) == 0 {
		return d.Errf("%s: expected one or more paths, such as /cases/*", rule.Verb)
	}
	if rules := &p.config.Rules; len(*rules) == cap(*rules) {
		*rules = slices.Grow(*rules, max(16, len(*rules))) // append would move a hundred thousand five times as often
	}
	p.config.Rules = append(p.config.Rules, rule)
	return p.inRule(d, &p.config.Rules[len(p.config.Rules)-1])
}

// inRule reads the block of a rule. Most rules have none, and of a hundred
// thousand it shows what each costs.
func (p *policyParser) inRule(d *caddyfile.Dispenser, rule *policy.RuleConfig) error {
	if ahead := *d; !ahead.NextBlock(d.Nesting()) {
		*d = ahead
		return nil
	}
	return block.Block{Name: string(rule.Verb), Repeated: []string{"group", "user", "raise"}, Options: map[string]func(*caddyfile.Dispenser) error{
		"group": names(&rule.Groups),
		"user":  names(&rule.Users),
		"why":   block.OneWord(&rule.Why),
		"until": until(&rule.Until),
		"max_age": func(d *caddyfile.Dispenser) (err error) {
			if rule.MaxAge, err = block.PolicyDuration(d, "max_age"); err != nil {
				return err
			}
			return block.NoBlock(d)
		},
		"raise": func(d *caddyfile.Dispenser) error {
			raise, err := parseRaise(d)
			rule.Raises = append(rule.Raises, raise)
			return err
		},
	}}.Parse(d)
}

// names reads one or more names; several lines add up.
func names(into *[]string) func(*caddyfile.Dispenser) error {
	return func(d *caddyfile.Dispenser) error {
		option := d.Val()
		names := d.RemainingArgs()
		if len(names) == 0 {
			return d.Errf("%s: expected one or more names", option)
		}
		*into = append(*into, names...)
		return block.NoBlock(d)
	}
}

// until reads the last day, in UTC, on which a rule holds by itself.
func until(into *time.Time) func(*caddyfile.Dispenser) error {
	return func(d *caddyfile.Dispenser) error {
		var text string
		if err := block.OneWord(&text)(d); err != nil {
			return err
		}
		day, err := time.Parse(time.DateOnly, text)
		if err != nil {
			return d.Errf("until: `%s`: expected a day such as 2027-03-31", text)
		}
		*into = day.AddDate(0, 0, 1)
		return nil
	}
}

// defines tells whether a level of that name stands further up.
func (p *policyParser) defines(name string) bool {
	return slices.ContainsFunc(p.config.Levels, func(l policy.LevelConfig) bool { return l.Name == name })
}

func isPattern(s string) bool { return strings.HasPrefix(s, "/") }

func methodHint(s string) string {
	if policy.IsMethodWord(strings.ToUpper(s)) {
		return "; methods are written in capitals, before the paths"
	}
	return ""
}

func (p *policyParser) raise(d *caddyfile.Dispenser) error {
	raise, err := parseRaise(d)
	p.config.Raises = append(p.config.Raises, raise)
	return err
}

// parseRaise reads `raise LEVEL when CONDITION` or `raise LEVEL { … }`.
func parseRaise(d *caddyfile.Dispenser) (policy.RaiseConfig, error) {
	raise := policy.RaiseConfig{Pos: block.Position(d)}
	if !d.NextArg() {
		return raise, d.Err("raise: expected a level, as in `raise mfa when risk high`")
	}
	raise.Level = d.Val()
	if d.NextArg() {
		if d.Val() != "when" {
			return raise, d.Errf("raise %s: unexpected `%s`; expected `when` and a condition, or a block", raise.Level, d.Val())
		}
		if !d.NextArg() {
			return raise, d.Errf("raise %s when: expected a condition", raise.Level)
		}
		condition, err := parseCondition(d)
		raise.Conditions = append(raise.Conditions, condition)
		return raise, err
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		condition, err := parseCondition(d)
		if err != nil {
			return raise, err
		}
		raise.Conditions = append(raise.Conditions, condition)
	}
	if len(raise.Conditions) == 0 {
		return raise, d.Errf("raise %s: expected `when` and a condition, or a block of conditions", raise.Level)
	}
	return raise, nil
}

// parseCondition reads one condition at the dispenser's place; the rest of
// its line belongs to it.
func parseCondition(d *caddyfile.Dispenser) (policy.ConditionConfig, error) {
	c := policy.ConditionConfig{Pos: block.Position(d)}
	if d.Val() == "not" {
		c.Not = true
		if !d.NextArg() {
			return c, d.Err("not: expected a condition behind it")
		}
	}
	c.Kind = d.Val()
	switch known := policy.ConditionKinds(); {
	case policy.IsMatcher(c.Kind):
		segment := d.NewFromNextSegment()
		var err error
		c.Args = argsOf(segment)
		c.Raw, err = matcherJSON(segment, c.Kind)
		return c, err
	case slices.Contains(known, c.Kind):
		c.Args = d.RemainingArgs()
		return c, block.NoBlock(d)
	default:
		return c, d.Errf("`%s`: no such condition%s", c.Kind, block.Expected(c.Kind, known))
	}
}

// argsOf lists the words behind the first, to be shown.
func argsOf(d *caddyfile.Dispenser) []string {
	d.Next()
	args := d.RemainingArgs()
	d.Reset()
	return args
}

// matcherJSON reads one of Caddy's matchers by its own syntax.
func matcherJSON(d *caddyfile.Dispenser, kind string) (json.RawMessage, error) {
	info, err := caddy.GetModule("http.matchers." + kind)
	if err != nil {
		return nil, err
	}
	matcher := info.New()
	unmarshaler, ok := matcher.(caddyfile.Unmarshaler)
	if !ok {
		return nil, d.Errf("%s: this matcher cannot be written here", kind)
	}
	if err := unmarshaler.UnmarshalCaddyfile(d); err != nil {
		return nil, err
	}
	return caddyconfig.JSON(matcher, nil), nil
}

func (p *policyParser) fallback(d *caddyfile.Dispenser) error {
	p.config.DefaultPos = block.Position(d)
	return block.WordList(&p.config.Default)(d)
}

func (p *policyParser) scripts(d *caddyfile.Dispenser) error {
	globs := d.RemainingArgs()
	if len(globs) == 0 {
		return d.Err("scripts: expected one or more names, such as *.php")
	}
	if _, err := target.NewReader(target.Options{Scripts: globs}); err != nil {
		return d.Errf("scripts: %v", err)
	}
	p.config.Scripts = append(p.config.Scripts, globs...)
	return block.NoBlock(d)
}

func (p *policyParser) assert(d *caddyfile.Dispenser) error {
	var file string
	if err := block.Path(&file)(d); err != nil {
		return err
	}
	p.config.Assert = append(p.config.Assert, file)
	p.config.AssertPos = append(p.config.AssertPos, block.Position(d))
	return nil
}
