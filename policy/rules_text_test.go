package policy

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// many are rules of all kinds that JSON may join, in several files.
func many(n int) RuleConfigs {
	var l RuleConfigs
	line := 10
	for i := range n {
		line++
		r := RuleConfig{Verb: VerbRequire, Levels: []string{"mfa"}, Patterns: []string{fmt.Sprintf("/app%d/*", i)}, Pos: Position{"Caddyfile", line}}
		switch i % 100 {
		case 3:
			r.Methods = []string{"POST", "PUT"}
		case 7:
			r.Verb, r.Levels = VerbPublic, nil
		case 11:
			line += 4
			r.Pos.Line = line
		case 13:
			r.Why = "so"
		case 17:
			r.Pos = Position{}
		case 19:
			r.Pos = Position{"other #5/Caddyfile", 1}
		case 23:
			r.Patterns = append(r.Patterns, ";")
		case 29:
			r.Pos.File = "a ; b"
		case 31:
			r.Patterns = []string{"/a?b=1&c=<*", "/é", "/#"}
		case 37:
			r.Patterns = []string{"/with blank"}
		case 41:
			r.Pos.Line = 1 // further up
		}
		l = append(l, r)
	}
	return l
}

func TestRulesAreTheSameBehindTheirJSON(t *testing.T) {
	for _, n := range []int{0, 1, manyRules - 1, manyRules, 3 * manyRules} {
		was := Config{Rules: many(n)}
		data, err := json.Marshal(was)
		if err != nil {
			t.Fatal(err)
		}
		var is Config
		if err := json.Unmarshal(data, &is); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(was, is); diff != "" {
			t.Errorf("%d rules: %s", n, diff)
		}
	}
}

func TestManyRulesAreOneText(t *testing.T) {
	plain := many(3)
	rules := RuleConfigs{}
	for range manyRules / 2 {
		rules = append(rules, RuleConfig{Verb: VerbDeny, Patterns: []string{"/x"}, Pos: Position{"Caddyfile", len(rules) + 1}})
	}
	rules = append(rules, plain...)
	for range manyRules / 2 {
		rules = append(rules, RuleConfig{Verb: VerbDeny, Patterns: []string{"/x"}})
	}
	data, err := json.Marshal(rules)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	for _, want := range []string{`["deny /x # Caddyfile:1 ; deny /x ; `, ` ; deny /x ; require mfa /app0/* #11 ; require mfa /app1/* ; require mfa /app2/*","deny /x ; deny /x ; `, ` ; deny /x"]`} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is not in %.200s", want, text)
		}
	}
	if n := strings.Count(text, `"`); n != 4 {
		t.Errorf("%d quotes, want those of two texts", n)
	}
}

// What is in one array may be added to without reaching what is beside it.
func TestRulesOfOneTextShareNoRoom(t *testing.T) {
	var rules RuleConfigs
	if err := json.Unmarshal([]byte(`["require mfa POST /a ; require mfa PUT /b"]`), &rules); err != nil {
		t.Fatal(err)
	}
	a := &rules[0]
	_, _, _ = append(a.Levels, "x"), append(a.Methods, "X"), append(a.Patterns, "/x")
	want := RuleConfigs{
		{Verb: VerbRequire, Levels: []string{"mfa"}, Methods: []string{"POST"}, Patterns: []string{"/a"}},
		{Verb: VerbRequire, Levels: []string{"mfa"}, Methods: []string{"PUT"}, Patterns: []string{"/b"}},
	}
	if diff := cmp.Diff(want, rules); diff != "" {
		t.Error(diff)
	}
}

func TestRulesOfJSONAreRefused(t *testing.T) {
	for _, text := range []string{
		`["deny /a ; "]`, `[" ; deny /a"]`, `["deny /a # F:1 ; deny /b #x"]`, `["deny /a # F:1 ; deny /b #0"]`,
		`["deny /a # F:1 ; deny /b # F"]`, `[7]`, `"deny /a"`, `[{"verb":"deny","pattern":["/x"]}]`,
	} {
		var rules RuleConfigs
		if err := json.Unmarshal([]byte(text), &rules); err == nil {
			t.Errorf("%s is read as %+v", text, rules)
		}
	}
}
