package policy

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stepgate/stepgate/policy/target"
)

// The tests write policies as lines, much as a Caddyfile has them: a block
// stands on its line, its parts separated by ";".
//
//	level fresh_key { accept webauthn; max_age 10m }
//	require mfa POST /cases/* { group admins; raise fresh_key when device unknown }
//	raise mfa { method POST; not device private }

func configOf(t testing.TB, text string) *Config {
	t.Helper()
	c := &Config{}
	for i, line := range strings.Split(text, "\n") {
		pos := Position{"Caddyfile", i + 1}
		head, block, _ := strings.Cut(line, "{")
		words := strings.Fields(head)
		parts := blockParts(block)
		if len(words) == 0 {
			continue
		}
		switch words[0] {
		case "level":
			c.Levels = append(c.Levels, levelOf(t, words[1], parts, pos))
		case "raise":
			c.Raises = append(c.Raises, raiseOf(words, parts, pos))
		case "default":
			c.Default, c.DefaultPos = words[1:], pos
		default:
			c.Rules = append(c.Rules, ruleOf(words, parts, pos))
		}
	}
	return c
}

func blockParts(block string) [][]string {
	var parts [][]string
	for _, part := range strings.Split(strings.TrimSuffix(strings.TrimSpace(block), "}"), ";") {
		if words := strings.Fields(part); len(words) > 0 {
			parts = append(parts, words)
		}
	}
	return parts
}

func levelOf(t testing.TB, name string, parts [][]string, pos Position) LevelConfig {
	t.Helper()
	l := LevelConfig{Name: name, Pos: pos}
	for _, words := range parts {
		switch words[0] {
		case "accept", "also":
			for _, word := range words[1:] {
				var together []Factor
				for _, f := range strings.Split(word, "+") {
					together = append(together, Factor(f))
				}
				if words[0] == "also" {
					l.Also = append(l.Also, together)
				} else {
					l.Accept = append(l.Accept, together)
				}
			}
		case "max_age":
			age, err := ParseDuration(words[1])
			if err != nil {
				t.Fatal(err)
			}
			l.MaxAge = age
		case "once":
			l.Once = true
		case "enrol":
			l.Enrol = words[1:]
		default:
			t.Fatalf("no such part of a level: %q", words)
		}
	}
	return l
}

func ruleOf(words []string, parts [][]string, pos Position) RuleConfig {
	r := RuleConfig{Verb: Verb(words[0]), Pos: pos}
	for _, word := range words[1:] {
		switch {
		case strings.Contains(word, "/"):
			r.Patterns = append(r.Patterns, word)
		case strings.ToUpper(word) == word:
			r.Methods = append(r.Methods, word)
		default:
			r.Levels = append(r.Levels, word)
		}
	}
	for _, words := range parts {
		if words[0] == "group" {
			r.Groups = append(r.Groups, words[1:]...)
			continue
		}
		r.Raises = append(r.Raises, raiseOf(words, nil, pos))
	}
	return r
}

func raiseOf(words []string, parts [][]string, pos Position) RaiseConfig {
	r := RaiseConfig{Level: words[1], Pos: pos}
	if len(words) > 3 {
		parts = append(parts, words[3:])
	}
	for _, words := range parts {
		c := ConditionConfig{Pos: pos}
		if words[0] == "not" {
			c.Not, words = true, words[1:]
		}
		c.Kind, c.Args = words[0], words[1:]
		r.Conditions = append(r.Conditions, c)
	}
	return r
}

// stubMatcher stands for a Caddy matcher: it holds when its argument is the
// request's Context, and errs when that is "broken".
type stubMatcher struct{ want string }

func (s stubMatcher) Holds(r *Request) (bool, error) {
	if r.Context == "broken" {
		return false, errors.New("broken")
	}
	return r.Context == s.want, nil
}

func (s stubMatcher) Reason() string { return "client-ip" }

var testOptions = CompileOptions{Matcher: func(c ConditionConfig) (Condition, error) {
	return stubMatcher{strings.Join(c.Args, " ")}, nil
}}

func policyOf(t testing.TB, text string) *Policy {
	t.Helper()
	p, err := Compile(configOf(t, text), testOptions)
	if err != nil {
		t.Fatalf("compile:\n%v", err)
	}
	return p
}

func read(t testing.TB, raw string) *target.Readings {
	t.Helper()
	reader, err := target.NewReader(target.Options{})
	if err != nil {
		t.Fatal(err)
	}
	rs, err := reader.Read(raw)
	if err != nil {
		t.Fatalf("read %q: %v", raw, err)
	}
	return &rs
}

// noon is a Monday.
var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// request makes a Request of "METHOD TARGET [BODY]", with a known device and
// risk, at noon.
func request(t testing.TB, text string) *Request {
	t.Helper()
	words := strings.SplitN(text, " ", 3)
	r := &Request{Method: words[0], Target: read(t, words[1]), Device: DeviceUnknown, Risk: RiskLow, Now: noon}
	if len(words) == 3 {
		r.Form = formBody(words[2])
	}
	return r
}

func formBody(body string) func() (string, []byte, bool) {
	return func() (string, []byte, bool) {
		return "application/x-www-form-urlencoded", []byte(body), body != "UNREADABLE"
	}
}

// says is what a decision comes to in one word or the levels.
func says(p *Policy, d Decision) string {
	switch {
	case d.Outcome == Deny:
		return "deny"
	case d.Public:
		return "public"
	default:
		return strings.Join(p.LevelNames(d.Needed), " ")
	}
}
