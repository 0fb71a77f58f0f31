package policy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Config is a policy as it is written: what the Caddyfile adapts to and what
// Caddy keeps as JSON. The zero value is the policy of the smallest site:
// everything needs `mfa`.
type Config struct {
	// Levels defines levels of the site and changes built-in ones.
	Levels []LevelConfig `json:"levels,omitempty"`
	// Rules say what paths need. Their order does not matter.
	Rules RuleConfigs `json:"rules,omitempty"`
	// Raises add levels on every path that is not public.
	Raises []RaiseConfig `json:"raises,omitempty"`
	// Default is what a path needs that no rule matches: levels, or the one
	// word "deny" or "public". Empty means `mfa`.
	Default []string `json:"default,omitempty"`
	// DefaultPos is where the default was written.
	DefaultPos Position `json:"default_pos,omitzero"`
	// Scripts are globs of what counts as a script in a path. Compile leaves
	// them alone: they are for the reader of targets (target.Options).
	Scripts []string `json:"scripts,omitempty"`
	// Assert names files of assertions, AssertPos where each was written.
	// Compile leaves them alone.
	Assert    []string   `json:"assert,omitempty"`
	AssertPos []Position `json:"assert_pos,omitempty"`
}

// LevelConfig defines a level, or changes a built-in one.
type LevelConfig struct {
	Name string `json:"name"`
	// Accept lists alternatives; each is the factors that are needed
	// together. In a built-in level it replaces what is built in.
	Accept [][]Factor `json:"accept,omitempty"`
	// Also lists alternatives that are added to those of a built-in level.
	Also [][]Factor `json:"also,omitempty"`
	// MaxAge is how old a proof may be; 0 means as old as the session.
	MaxAge Duration `json:"max_age,omitzero"`
	// Once makes one proof open one request.
	Once bool `json:"once,omitempty"`
	// Enrol lists what its enrolment walks through, in that order: factors,
	// or the word "device".
	Enrol []string `json:"enrol,omitempty"`
	Pos   Position `json:"pos,omitzero"`
}

// Verb is what a rule does with the paths it matches.
type Verb string

// The verbs of rules.
const (
	VerbPublic  Verb = "public"
	VerbDeny    Verb = "deny"
	VerbRequire Verb = "require"
)

// RuleConfig is one rule, as written on one line with an optional block.
type RuleConfig struct {
	Verb Verb `json:"verb"`
	// Levels are the levels of `require`, all needed together; empty for the
	// other verbs.
	Levels []string `json:"levels,omitempty"`
	// Methods limits the rule to these methods; empty means all.
	Methods []string `json:"methods,omitempty"`
	// Patterns are paths, each with an optional `?name=glob&…`.
	Patterns []string `json:"patterns"`
	// Groups and Users, where there are any, admit only members of one of
	// the groups, and these people by their names.
	Groups []string `json:"groups,omitempty"`
	Users  []string `json:"users,omitempty"`
	// Why is what the pages of the rule tell the person, and the audit trail.
	Why string `json:"why,omitempty"`
	// MaxAge ages the proofs for this rule alone; 0 leaves it to the levels.
	MaxAge Duration `json:"max_age,omitzero"`
	// Until is the first moment at which the rule weakens nothing any more:
	// from then on it holds together with what would hold without it. Zero
	// means never.
	Until time.Time `json:"until,omitzero"`
	// Raises add levels where this rule is one that decides.
	Raises []RaiseConfig `json:"raises,omitempty"`
	Pos    Position      `json:"pos,omitzero"`
}

// RaiseConfig adds a level while all its conditions hold.
type RaiseConfig struct {
	Level      string            `json:"level"`
	Conditions []ConditionConfig `json:"conditions"`
	Pos        Position          `json:"pos,omitzero"`
}

// ConditionConfig is one condition of a raise.
type ConditionConfig struct {
	// Kind is the condition's word: client_ip, header, query and expression
	// are Caddy's matchers and compiled by CompileOptions.Matcher; method,
	// form, device, risk, group, organisation, country and time are known
	// here.
	Kind string `json:"kind"`
	// Args are the words after the kind, as written. For Caddy's matchers
	// they are only shown.
	Args []string `json:"args,omitempty"`
	// Raw is the JSON of a Caddy matcher.
	Raw json.RawMessage `json:"raw,omitempty"`
	// Not turns the condition around. A condition that errs, or whose fact
	// is missing, raises with and without it.
	Not bool     `json:"not,omitempty"`
	Pos Position `json:"pos,omitzero"`
}

// String writes the condition as it stands in a Caddyfile.
func (c ConditionConfig) String() string {
	words := append([]string{c.Kind}, c.Args...)
	if len(c.Args) == 0 && len(c.Raw) > 0 {
		words = append(words, string(c.Raw))
	}
	if c.Not {
		words = append([]string{"not"}, words...)
	}
	return strings.Join(words, " ")
}

// Position is where something was written. The zero value is "nowhere": a
// policy that came as JSON.
type Position struct {
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
}

// String gives FILE:LINE, or nothing for the zero value.
func (p Position) String() string {
	if p == (Position{}) {
		return ""
	}
	return p.File + ":" + strconv.Itoa(p.Line)
}

// Duration is a time.Duration that is text in JSON ("10m", "1d12h"). Plain
// numbers are read as nanoseconds, as Caddy does.
type Duration time.Duration

// ParseDuration reads what time.ParseDuration reads, with whole days ("d")
// allowed in front.
func ParseDuration(text string) (Duration, error) {
	var days time.Duration
	rest := text
	if number, after, found := strings.Cut(text, "d"); found {
		n, err := strconv.ParseUint(number, 10, 16)
		if err != nil {
			return 0, fmt.Errorf("`%s`: not a duration; write it like `10m` or `1d12h`", text)
		}
		days, rest = time.Duration(n)*24*time.Hour, after
		if rest == "" {
			return Duration(days), nil
		}
	}
	d, err := time.ParseDuration(rest)
	if err != nil {
		return 0, fmt.Errorf("`%s`: not a duration; write it like `10m` or `1d12h`", text)
	}
	return Duration(days + d), nil
}

// String writes d without units that are zero ("10m", not "10m0s").
func (d Duration) String() string {
	text := time.Duration(d).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// MarshalJSON implements json.Marshaler.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(d.String()) }

// UnmarshalJSON implements json.Unmarshaler.
func (d *Duration) UnmarshalJSON(data []byte) error {
	if !bytes.HasPrefix(data, []byte(`"`)) {
		return json.Unmarshal(data, (*time.Duration)(d))
	}
	var text string
	err := json.Unmarshal(data, &text)
	if err != nil {
		return err
	}
	*d, err = ParseDuration(text)
	return err
}
