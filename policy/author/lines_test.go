package author

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepgate/stepgate/policy"
	"github.com/stepgate/stepgate/policy/target"
)

// The tests write policies as lines, as those of package policy do: a block
// stands on its line, its parts separated by ";".

var update = flag.Bool("update", false, "write the golden files anew")

// noon is a Monday.
var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

const contractSample = `level fresh_key { accept webauthn; max_age 10m }
public /assets/* /favicon.ico
require signed_in /
require mfa /cases/*
require phishing_resistant POST DELETE /cases/*
require signed_in /app.do
require fresh_key /app.do?action=delete*
require mfa /admin/* { group admins; raise fresh_key when not client_ip 10.0.0.0/8 }
deny /debug/*
default mfa
raise mfa when risk high
raise fresh_key { method POST PUT DELETE; not device private }`

func configOf(t testing.TB, text string) *policy.Config {
	t.Helper()
	c := &policy.Config{}
	for i, line := range strings.Split(text, "\n") {
		pos := policy.Position{File: "Caddyfile", Line: i + 1}
		head, block, _ := strings.Cut(line, "{")
		words := strings.Fields(head)
		var parts [][]string
		for _, part := range strings.Split(strings.TrimSuffix(strings.TrimSpace(block), "}"), ";") {
			if fields := strings.Fields(part); len(fields) > 0 {
				parts = append(parts, fields)
			}
		}
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

func levelOf(t testing.TB, name string, parts [][]string, pos policy.Position) policy.LevelConfig {
	t.Helper()
	l := policy.LevelConfig{Name: name, Pos: pos}
	for _, words := range parts {
		switch words[0] {
		case "accept", "also":
			for _, word := range words[1:] {
				var factors []policy.Factor
				for f := range strings.SplitSeq(word, "+") {
					factors = append(factors, policy.Factor(f))
				}
				if words[0] == "also" {
					l.Also = append(l.Also, factors)
				} else {
					l.Accept = append(l.Accept, factors)
				}
			}
		case "max_age":
			age, err := policy.ParseDuration(words[1])
			if err != nil {
				t.Fatal(err)
			}
			l.MaxAge = age
		case "once":
			l.Once = true
		default:
			t.Fatalf("no such part of a level: %q", words)
		}
	}
	return l
}

func ruleOf(words []string, parts [][]string, pos policy.Position) policy.RuleConfig {
	r := policy.RuleConfig{Verb: policy.Verb(words[0]), Pos: pos}
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
		switch words[0] {
		case "group":
			r.Groups = append(r.Groups, words[1:]...)
		case "user":
			r.Users = append(r.Users, words[1:]...)
		case "until":
			day, _ := time.Parse(time.DateOnly, words[1])
			r.Until = day.AddDate(0, 0, 1)
		case "max_age":
			r.MaxAge, _ = policy.ParseDuration(words[1])
		default:
			r.Raises = append(r.Raises, raiseOf(words, nil, pos))
		}
	}
	return r
}

func raiseOf(words []string, parts [][]string, pos policy.Position) policy.RaiseConfig {
	r := policy.RaiseConfig{Level: words[1], Pos: pos}
	for rest := words[min(3, len(words)):]; len(rest) > 0; {
		end := slices.Index(rest, "and")
		if end < 0 {
			end = len(rest)
		}
		parts, rest = append(parts, rest[:end]), rest[min(end+1, len(rest)):]
	}
	for _, words := range parts {
		c := policy.ConditionConfig{Pos: pos}
		if words[0] == "not" {
			c.Not, words = true, words[1:]
		}
		c.Kind, c.Args = words[0], words[1:]
		r.Conditions = append(r.Conditions, c)
	}
	return r
}

// address stands for Caddy's client_ip: it compares the first two digits.
type address string

func (a address) Holds(r *policy.Request) (bool, error) {
	f, _ := r.Context.(Facts)
	return len(f.ClientIP) > 2 && strings.HasPrefix(string(a), f.ClientIP[:2]), nil
}

func (address) Reason() string { return "matcher-client_ip" }

func siteOf(t testing.TB, text string) *Site {
	t.Helper()
	config := configOf(t, text)
	p, err := policy.Compile(config, policy.CompileOptions{Matcher: func(c policy.ConditionConfig) (policy.Condition, error) {
		return address(c.Args[0]), nil
	}})
	if err != nil {
		t.Fatalf("compile:\n%v", err)
	}
	reader, err := target.NewReader(target.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return &Site{
		Origin: "https://portal.test", Config: config, Policy: p, Reader: reader, Prefix: "/.stepgate",
		ClaimsMethod: func(name string) bool { return strings.EqualFold(name, "X-Http-Method-Override") }, Position: policy.Position{File: "Caddyfile", Line: 99},
		Describe: func() func(Facts) any { return func(f Facts) any { return f } },
	}
}

// factsOf reads what an assertion has before its arrow.
func factsOf(t testing.TB, line string) Facts {
	t.Helper()
	var a Assertion
	words, err := splitWords(line + " -> x")
	if err == nil {
		err = a.parse(words)
	}
	if err != nil {
		t.Fatal(err)
	}
	a.Facts.Now = noon
	return a.Facts
}

// golden holds a text against a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}
