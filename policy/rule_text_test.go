package policy

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRuleIsTheSameBehindItsJSON(t *testing.T) {
	at := Position{File: "my sites/Caddyfile", Line: 12}
	for _, tc := range []struct {
		text string // empty: an object
		rule RuleConfig
	}{
		{`require mfa /cases/*`, RuleConfig{Verb: VerbRequire, Levels: []string{"mfa"}, Patterns: []string{"/cases/*"}}},
		{
			`require mfa fresh POST PUT /cases/* /notes?x=1 # my sites/Caddyfile:12`,
			RuleConfig{Verb: VerbRequire, Levels: []string{"mfa", "fresh"}, Methods: []string{"POST", "PUT"}, Patterns: []string{"/cases/*", "/notes?x=1"}, Pos: at},
		},
		{`public OPTIONS /a#b`, RuleConfig{Verb: VerbPublic, Methods: []string{"OPTIONS"}, Patterns: []string{"/a#b"}}},
		{`deny /x # Caddyfile:1`, RuleConfig{Verb: VerbDeny, Patterns: []string{"/x"}, Pos: Position{"Caddyfile", 1}}},
		{"", RuleConfig{Verb: VerbDeny, Patterns: []string{"/with blank"}}},
		{"", RuleConfig{Verb: VerbDeny, Patterns: []string{"#"}}},
		{"", RuleConfig{Verb: VerbDeny, Patterns: []string{"/x"}, Pos: Position{File: "a # b", Line: 1}}},
		{"", RuleConfig{Verb: "forbid", Patterns: []string{"/x"}}},
		{"", RuleConfig{Verb: VerbRequire, Levels: []string{"MFA"}, Patterns: []string{"/x"}}},
		{"", RuleConfig{Verb: VerbRequire, Levels: []string{"mfa"}, Methods: []string{"post"}, Patterns: []string{"/x"}}},
		{"", RuleConfig{Verb: VerbPublic, Levels: []string{"mfa"}, Patterns: []string{"/x"}}},
		{"", RuleConfig{Verb: VerbRequire, Levels: []string{"mfa"}, Patterns: []string{"/x"}, Groups: []string{"a"}}},
		{"", RuleConfig{Verb: VerbRequire, Levels: []string{"mfa"}, Patterns: []string{"/x"}, Users: []string{"a"}}},
		{"", RuleConfig{Verb: VerbRequire, Levels: []string{"mfa"}, Patterns: []string{"/x"}, Why: "so"}},
		{"", RuleConfig{Verb: VerbRequire, Levels: []string{"mfa"}, Patterns: []string{"/x"}, MaxAge: Duration(time.Minute)}},
		{"", RuleConfig{Verb: VerbPublic, Patterns: []string{"/x"}, Until: time.Date(2027, 1, 2, 0, 0, 0, 0, time.UTC)}},
		{"", RuleConfig{Verb: VerbRequire, Levels: []string{"mfa"}, Patterns: []string{"/x"}, Raises: []RaiseConfig{{Level: "mfa", Conditions: []ConditionConfig{{Kind: "risk", Args: []string{"high"}}}}}}},
	} {
		if got := tc.rule.text(); got != tc.text {
			t.Errorf("%+v is written as %q, want %q", tc.rule, got, tc.text)
		}
		data, err := json.Marshal(tc.rule)
		if err != nil {
			t.Fatal(err)
		}
		if isText := data[0] == '"'; isText != (tc.text != "") {
			t.Errorf("%s", data)
		}
		var back RuleConfig
		if err := json.Unmarshal(data, &back); err != nil {
			t.Fatalf("%s: %v", data, err)
		}
		if diff := cmp.Diff(tc.rule, back); diff != "" {
			t.Errorf("%s: %s", data, diff)
		}
	}
}

func TestRuleOfJSONIsRefused(t *testing.T) {
	for _, text := range []string{`""`, `"  "`, `"require mfa /x # Caddyfile"`, `"require mfa /x # :3"`, `"require mfa /x # a:0"`, `{"verb":"deny","pattern":["/x"]}`, `7`} {
		var r RuleConfig
		if err := json.Unmarshal([]byte(text), &r); err == nil {
			t.Errorf("%s is read as %+v", text, r)
		}
	}
}
