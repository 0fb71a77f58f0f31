package policy

import (
	"strings"
	"testing"
	"time"
)

func TestRuleAdmitsNamedPeopleBesideGroups(t *testing.T) {
	c := configOf(t, "require mfa /a { group admins }\nrequire mfa /b")
	c.Rules[0].Users = []string{"Joe"}
	c.Rules[1].Users = []string{"ann"}
	p, err := Compile(c, testOptions)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		path, user, group string
		admitted          bool
	}{
		{"/a", "joe", "", true}, {"/a", "ann", "admins", true}, {"/a", "ann", "staff", false}, {"/a", "", "", false},
		{"/b", "ann", "", true}, {"/b", "joe", "admins", false},
	} {
		r := request(t, "GET "+tt.path)
		r.SignedIn, r.Username, r.Groups = true, tt.user, []string{tt.group}
		if got := p.Decide(r).Reason != ReasonGroupMissing; got != tt.admitted {
			t.Errorf("%+v: admitted %v", tt, got)
		}
	}
}

func TestMaxAgeOfARuleAgesProofsForItAlone(t *testing.T) {
	c := configOf(t, "require mfa /a\nrequire mfa /b\nraise mfa when risk high")
	c.Rules[0].MaxAge = Duration(10 * time.Minute)
	p, err := Compile(c, testOptions)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		path string
		age  time.Duration
		want Outcome
	}{
		{"/a", 9 * time.Minute, Allow}, {"/a", 11 * time.Minute, StepUp}, {"/b", 11 * time.Minute, Allow},
	} {
		r := request(t, "GET "+tt.path)
		r.SignedIn = true
		r.Proofs = []Proof{{Factor: Password, At: noon.Add(-time.Hour)}, {Factor: TOTP, Credential: "o", At: noon.Add(-tt.age)}}
		d := p.Decide(r)
		if d.Outcome != tt.want || strings.Join(p.LevelNames(d.Needed), " ") != "mfa" {
			t.Errorf("%s after %v: %v, needs %v", tt.path, tt.age, d.Outcome, p.LevelNames(d.Needed))
		}
		if ways := p.Ways(d.Missing, r.Proofs, noon); d.Outcome == StepUp && len(ways) == 0 {
			t.Errorf("%s: no way to what is missing", tt.path)
		}
	}
	if names := p.MetNames(p.Met([]Proof{{Factor: Password, At: noon}, {Factor: TOTP, Credential: "o", At: noon}}, true, noon)); strings.Join(names, " ") != "signed_in mfa" {
		t.Errorf("met by name: %v", names)
	}
}

func TestRulePastItsUntilWeakensNothing(t *testing.T) {
	for _, tt := range []struct{ rules, request, before, after string }{
		{"public /a { until }\nrequire mfa /*", "GET /a", "public", "mfa"},
		{"public /a { until }\nrequire signed_in /a", "GET /a", "signed_in", "signed_in"},
		{"require signed_in POST /a { until }\nrequire mfa /a\npublic /*", "POST /a", "signed_in", "signed_in mfa"},
		{"require signed_in POST /a { until }\npublic /*", "POST /a", "signed_in", "signed_in"},
		{"public /a/b { until }\nrequire mfa /a/* { until }\ndefault deny", "GET /a/b", "public", "deny"},
		{"deny /a { until }\npublic /*", "GET /a", "deny", "deny"},
		{"public /a { until }\ndefault phishing_resistant", "GET /a", "public", "phishing_resistant"},
	} {
		c := configOf(t, strings.ReplaceAll(tt.rules, " { until }", ""))
		for i, line := range strings.Split(tt.rules, "\n") {
			if strings.Contains(line, "until") {
				c.Rules[i].Until = noon
			}
		}
		p, err := Compile(c, testOptions)
		if err != nil {
			t.Fatal(err)
		}
		for at, want := range map[time.Time]string{noon.Add(-time.Second): tt.before, noon: tt.after, {}: tt.after} {
			r := request(t, tt.request)
			r.Now = at
			if got := says(p, p.Decide(r)); got != want {
				t.Errorf("%s at %v: %s needs %q, want %q", tt.rules, at, tt.request, got, want)
			}
		}
	}
}

func TestCountry(t *testing.T) {
	for _, tt := range []struct {
		condition, country string
		want               bool
	}{
		{"country GB IE", "GB", true}, {"country gb", "GB", true}, {"country GB", "FR", false}, {"not country GB", "FR", true},
		{"not country GB", "GB", false}, {"country GB", "", true}, {"not country GB", "", true},
	} {
		r := request(t, "GET /x")
		r.Country = tt.country
		if got := raisedBy(t, tt.condition, r); got != tt.want {
			t.Errorf("%s from %q raises: %v", tt.condition, tt.country, got)
		}
	}
}
