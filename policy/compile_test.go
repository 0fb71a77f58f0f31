package policy

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestCompileSaysWhatIsWrongAndWhere(t *testing.T) {
	tests := []struct{ line, want string }{
		{"require phising_resistant /x", "`phising_resistant`: no such level; did you mean `phishing_resistant`? Expected one of `public`, `signed_in`, `mfa`, `phishing_resistant`"},
		{"require xyzzy /x", "`xyzzy`: no such level; expected one of `public`, `signed_in`, `mfa`, `phishing_resistant`"},
		{"require /x", "`require`: without a level; expected `require LEVEL [METHOD…] PATTERN…`"},
		{"require mfa", "`require`: without a pattern; expected a path like `/cases/*`"},
		{"requrie mfa /x", "`requrie`: no such verb; did you mean `require`? Expected one of `public`, `deny`, `require`"},
		{"public mfa /x", "`mfa`: `public` takes no level"},
		{"deny mfa /x", "`mfa`: `deny` takes no level"},
		{"require mfa public /x", "`public`: `public` does not go together with other levels"},
		{"require mfa PSOT /x", "`PSOT`: no such method; did you mean `POST`?"},
		{"require mfa HEAD /x", "`HEAD`: asks what `GET` asks; name `GET`"},
		{"require mfa P(ST /x", "`P(ST`: not a method"},
		{"public /x?a=b", "`/x?a=b`: a query pattern only ever adds to what its path needs; `public` adds nothing"},
		{"public /x { group a }", "`public`: a block with `group`, `user` or `raise` belongs to `require`"},
		{"deny /x { raise mfa when device unknown }", "`deny`: a block with `group`, `user` or `raise` belongs to `require`"},
		{"require mfa x/y", "`x/y`: a pattern begins with `/`"},
		{"require mfa /x/**", "`/x/**`: `**` is not known: `/*` at the end is a subtree, `*` elsewhere a part of one segment"},
		{"require mfa /x/*/", "`/x/*/`: a subtree is written `/x/*`"},
		{"require mfa //x", "`//x`: an empty segment: runs of slashes are read as one"},
		{"require mfa //", "`//`: an empty segment: runs of slashes are read as one"},
		{"require mfa /x/../y", "`/x/../y`: a dot segment never reaches a rule: such requests are refused"},
		{"require mfa /x/%2e%2e/y", "`/x/%2e%2e/y`: a dot segment never reaches a rule: such requests are refused"},
		{"require mfa /%zz", "`/%zz`: `%zz`: a `%` begins an encoding of two hex digits; a literal one is `%25`"},
		{"require mfa /%00", "`/%00`: control bytes and backslashes never reach a rule: such requests are refused"},
		{`require mfa /x\y`, "`/x\\y`: `x\\y`: a path has no braces, backslashes or `#`; placeholders are not replaced here"},
		{"require mfa /x?", "`/x?`: `?`: expected `?name=glob`, joined by `&`"},
		{"require mfa /x?a=b?c", "`/x?a=b?c`: `a=b?c`: `?` has no meaning in a glob, only `*` has; a literal one is `%3F`"},
		{"require mfa /x?a=%zz", "`/x?a=%zz`: `a=%zz`: a `%` begins an encoding of two hex digits; a literal one is `%25`"},
		{"default mfaa", "`mfaa`: no such level; did you mean `mfa`? Expected one of `public`, `signed_in`, `mfa`, `phishing_resistant`"},
		{"default mfa deny", "`deny`: does not go together with other words"},
		{"level public { accept totp }", "`public`: means that no sign-in is needed; it cannot be changed"},
		{"level deny { accept totp }", "`deny`: a level's name is letters, digits, `_` and `-`, and not `deny`"},
		{"level a/b { accept totp }", "`a/b`: a level's name is letters, digits, `_` and `-`, and not `deny`"},
		{"level a { accept topt }", "`topt`: no such factor; did you mean `totp`? Expected one of `webauthn`, `totp`, `device_pin`, `approval`, `sms`, `email`, `backup_code`, `temporary_code`, `security_questions`, `pin`, `token`, `password`"},
		{"level a { max_age 10m }", "`a`: the level accepts nothing; expected `accept FACTOR…`"},
		{"level a { also totp; accept sms }", "`also`: widens a built-in level; in `a` write `accept`"},
		{"level signed_in { also totp }", "`also`: `signed_in` needs no factor that could have an alternative; `accept` replaces it"},
		{"raise mfa when country UK", "`country UK`: `UK`: no country has this code of ISO 3166; did you mean GB?"},
		{"raise mfa when not country GB QQ", "`not country GB QQ`: `QQ`: no country has this code of ISO 3166"},
		{"level signed_in { max_age 10m }", "`signed_in`: `once` and `max_age` age the proofs that `accept` names; expected `accept FACTOR…`"},
		{"level a { accept totp; max_age -10m }", "`-10m`: `max_age` is longer than nothing; write it like `10m`"},
		{"level a { accept totp; enrol totp devise }", "`devise`: no such step of enrolment; did you mean `device`? Expected one of `webauthn`, `totp`, `device_pin`, `approval`, `sms`, `email`, `backup_code`, `temporary_code`, `security_questions`, `pin`, `token`, `password`, `device`"},
		{"raise mfa", "`raise`: without a condition; expected `raise LEVEL when CONDITION`, or `require`"},
		{"raise public when device unknown", "`public`: a raise adds a level; `public` is none"},
		{"raise mfa when devise unknown", "`devise`: no such condition; did you mean `device`? Expected one of `client_ip`, `country`, `device`, `expression`, `form`, `group`, `header`, `method`, `organisation`, `query`, `risk`, `time`"},
		{"raise mfa when device secret", "`device secret`: expected `device unknown` or `device private`"},
		{"raise mfa when device public", "`device public`: a public device counts as unknown; write `device unknown`"},
		{"raise mfa when not risk huge", "`not risk huge`: expected `risk low`, `risk medium` or `risk high`"},
		{"raise mfa when group", "`group`: expected `group NAME…`"},
		{"raise mfa when organisation", "`organisation`: expected `organisation NAME…`"},
		{"raise mfa when method", "`method`: expected `method NAME…`"},
		{"raise mfa when form a", "`form a`: expected `form NAME GLOB`"},
		{"raise mfa when time Mon-Fri", "`time Mon-Fri`: expected days, hours and zone, like `time Mon-Fri 08:00-18:00 Europe/London`"},
		{"raise mfa when time Mo-Fr 08:00-18:00 UTC", "`time Mo-Fr 08:00-18:00 UTC`: `Mo-Fr`: expected days like `Mon-Fri` or `Sat,Sun`"},
		{"raise mfa when time Mon 8-18 UTC", "`time Mon 8-18 UTC`: `8-18`: expected hours like `08:00-18:00`"},
		{"raise mfa when time Mon 08:00-08:00 UTC", "`time Mon 08:00-08:00 UTC`: `08:00-08:00`: expected hours like `08:00-18:00`"},
		{"raise mfa when time Mon 08:00-18:00 Local", "`time Mon 08:00-18:00 Local`: `Local`: no such time zone; expected a name like `Europe/London` or `UTC`"},
		{"raise mfa when time Mon 08:00-18:00 Europe/Londn", "`time Mon 08:00-18:00 Europe/Londn`: `Europe/Londn`: no such time zone; expected a name like `Europe/London` or `UTC`"},
	}
	for _, tt := range tests {
		t.Run(tt.line, func(t *testing.T) {
			p, err := Compile(configOf(t, tt.line), testOptions)
			if err == nil || p != nil {
				t.Fatalf("compiled %v, %v", p, err)
			}
			if diff := cmp.Diff("Caddyfile:1: "+tt.want, err.Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCompileFindsEverythingAtOnce(t *testing.T) {
	_, err := Compile(configOf(t, "level a { accept topt }\nrequire b /x\nlevel a { accept totp }\nraise mfa when nothing"), testOptions)
	var lines []string
	for line := range strings.Lines(fmt.Sprint(err)) {
		where, _, _ := strings.Cut(line, ": ")
		lines = append(lines, where)
	}
	if diff := cmp.Diff([]string{"Caddyfile:1", "Caddyfile:3", "Caddyfile:2", "Caddyfile:4"}, lines); diff != "" {
		t.Errorf("findings (-want +got):\n%s\n%v", diff, err)
	}
}

func TestCompileNamesElementsWithoutPosition(t *testing.T) {
	c := &Config{
		Levels: []LevelConfig{{Name: "a"}},
		Rules:  []RuleConfig{{Verb: VerbRequire, Levels: []string{"mfa"}, Patterns: []string{"/"}, Raises: []RaiseConfig{{Level: "mfa"}}}},
	}
	_, err := Compile(c, CompileOptions{})
	want := "level 1: `a`: the level accepts nothing; expected `accept FACTOR…`\n" +
		"rule 1, raise 1: `raise`: without a condition; expected `raise LEVEL when CONDITION`, or `require`"
	if diff := cmp.Diff(want, fmt.Sprint(err)); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
}

func TestCompileRefusesMatchersItCannotHave(t *testing.T) {
	_, err := Compile(configOf(t, "raise mfa when client_ip private_ranges"), CompileOptions{})
	if err == nil || !strings.Contains(err.Error(), "`client_ip private_ranges`: Caddy's matchers are not available here") {
		t.Errorf("error %v", err)
	}
}

func TestCompileRefusesMoreLevelsAndMethodsThanItHasBitsFor(t *testing.T) {
	var levels, methods strings.Builder
	for i := range 70 {
		fmt.Fprintf(&levels, "level l%d { accept totp }\n", i)
		fmt.Fprintf(&methods, "require mfa XX%dYY /x\n", i)
	}
	for text, want := range map[string]string{levels.String(): "at most 64", methods.String(): "more than 63 different methods"} {
		if _, err := Compile(configOf(t, text), testOptions); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q in it", err, want)
		}
	}
}

func TestSixtyOneLevelsFit(t *testing.T) {
	var text strings.Builder
	for i := range 61 {
		fmt.Fprintf(&text, "level l%d { accept totp }\n", i)
	}
	p := policyOf(t, text.String())
	proofs := []Proof{{Factor: Password, At: noon}, {Factor: TOTP, Credential: "o", At: noon}}
	if met := p.Met(proofs, true, noon); met.Len() != 63 {
		t.Errorf("%d levels met", met.Len())
	}
}

func TestRequirePublicIsPublic(t *testing.T) {
	p := policyOf(t, "require public /x")
	if d := p.Decide(request(t, "GET /x")); !d.Public || p.Rules()[0].Verb() != VerbPublic {
		t.Errorf("%v", d)
	}
}

func TestConfigIsTheSameThroughJSON(t *testing.T) {
	want := configOf(t, contractSample+"level pay { accept webauthn+pin; once; max_age 90m; enrol pin device }")
	want.Scripts, want.Assert = []string{"*.php"}, []string{"policy.test"}
	want.Rules[0].Raises = []RaiseConfig{{Level: "mfa", Conditions: []ConditionConfig{{Kind: "header", Raw: json.RawMessage(`{"X":["y"]}`), Not: true}}}}
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	got := &Config{}
	if err := json.Unmarshal(text, got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("config (-want +got):\n%s", diff)
	}
	if !strings.Contains(string(text), `"max_age":"1h30m"`) {
		t.Errorf("durations are not text: %s", text)
	}
}

func TestDurationReadsWhatPeopleWrite(t *testing.T) {
	for text, want := range map[string]time.Duration{
		`"10m"`: 10 * time.Minute, `"1d"`: 24 * time.Hour, `"1d12h"`: 36 * time.Hour, `"90s"`: 90 * time.Second, `600000000000`: 10 * time.Minute,
	} {
		var d Duration
		if err := json.Unmarshal([]byte(text), &d); err != nil || time.Duration(d) != want {
			t.Errorf("%s: %v, %v", text, time.Duration(d), err)
		}
	}
	for _, text := range []string{`"10"`, `"xd"`, `"d"`, `"1dd"`, `"-1d"`, `""`, `true`} {
		var d Duration
		if err := json.Unmarshal([]byte(text), &d); err == nil {
			t.Errorf("%s: %v", text, d)
		}
	}
	for want, d := range map[string]time.Duration{"10m": 10 * time.Minute, "1h": time.Hour, "1h30m": 90 * time.Minute, "10s": 10 * time.Second, "0s": 0, "1h0m5s": time.Hour + 5*time.Second} {
		if got := Duration(d).String(); got != want {
			t.Errorf("%v is written %s", d, got)
		}
	}
}

func TestNearest(t *testing.T) {
	known := []string{"public", "signed_in", "mfa", "phishing_resistant", "fresh_key"}
	for word, want := range map[string]string{
		"phising_resistant": "phishing_resistant", "phishing-resistant": "phishing_resistant", "PUBLIC": "public", "signedin": "signed_in",
		"mfaa": "mfa", "maf": "mfa", "fresh": "fresh_key", "otp": "", "": "", "zzzzzz": "",
	} {
		if got := Nearest(word, known); got != want {
			t.Errorf("nearest to %q is %q, want %q", word, got, want)
		}
	}
	if got := Nearest("bat", []string{"cat", "bad", "hat"}); got != "bad" {
		t.Errorf("of equals %q", got)
	}
}

// TestPlainSegmentsAreReadAsAllOthers holds the short way of reading a pattern
// to the long one, over all segments of three bytes.
func TestPlainSegmentsAreReadAsAllOthers(t *testing.T) {
	some := 0
	for i := range 1 << 24 {
		text := string([]byte{byte(i), byte(i >> 8), byte(i >> 16)})
		if !plain(text) {
			continue
		}
		some++
		if decoded, err := decodeSegment(text); err != nil || fold(decoded) != text || strings.ContainsAny(text, `*{}\#/?`) || strings.Trim(text, ".") == "" {
			t.Fatalf("%q is taken as it is", text)
		}
	}
	if some != 38*39*39 {
		t.Errorf("%d plain segments of three bytes", some)
	}
	for text, want := range map[string]bool{"": false, ".": false, "a": true, "..": false, "a.": true} {
		if plain(text) != want {
			t.Errorf("plain(%q) is not %v", text, want)
		}
	}
}
