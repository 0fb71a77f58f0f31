package policy

import (
	"strings"
	"sync"
	"testing"

	"github.com/stepgate/stepgate/policy/target"
)

// contractSample is the policy of the contract's section 2.
const contractSample = `
level fresh_key { accept webauthn; max_age 10m }
level mfa { also email }
public                     /assets/* /favicon.ico
require signed_in          /
require mfa                /cases/*
require phishing_resistant POST DELETE /cases/*
require signed_in          /app.do
require fresh_key          /app.do?action=delete*
require mfa                /admin/* { group admins; raise fresh_key when not client_ip private_ranges }
deny                       /debug/*
default                    mfa
raise mfa when risk high
raise fresh_key { method POST PUT DELETE; not device private }
`

func TestContractSample(t *testing.T) {
	p := policyOf(t, contractSample)
	tests := []struct{ request, want string }{
		{"GET /", "signed_in"},
		{"GET /assets", "public"},
		{"GET /assets/", "public"},
		{"GET /assets/site.css", "public"},
		{"GET /ASSETS/site.css", "public"},
		{"POST /assets/upload", "public"},
		{"GET /favicon.ico", "public"},
		{"GET /favicon.ico/", "mfa"},
		{"GET /favicon.ico.bak", "mfa"},
		{"GET /cases", "mfa"},
		{"GET /cases/", "mfa"},
		{"GET /cases/7/notes", "mfa"},
		{"HEAD /cases/7", "mfa"},
		{"OPTIONS /cases/7", "mfa"},
		{"DELETE /cases/7", "phishing_resistant fresh_key"},
		{"POST /cases/7", "phishing_resistant fresh_key"},
		{"PUT /cases/7", "mfa fresh_key"},
		{"GET /cases/7?_method=DELETE", "mfa phishing_resistant fresh_key"},
		{"GET /cases/7?_method=delete", "mfa phishing_resistant fresh_key"},
		{"POST /cases/7 _method=put", "mfa phishing_resistant fresh_key"},
		{"GET /cases/7?_method=HEAD", "mfa"},
		{"GET /casesx", "mfa"},
		{"GET /app.do", "signed_in"},
		{"GET /app.do?action=view", "signed_in"},
		{"GET /app.do?action=delete", "signed_in fresh_key"},
		{"GET /app.do?ACTION=DeleteAll", "signed_in fresh_key"},
		{"GET /app.do?action=view&action=deleteAll", "signed_in fresh_key"},
		{"GET /app.do?x=1;action=deleteAll", "signed_in fresh_key"},
		{"GET /app.do?action=%64elete", "signed_in fresh_key"},
		{"GET /app.do?action=%zz", "signed_in fresh_key"},
		{"GET /app.do?undelete=delete", "signed_in"},
		{"GET /app.do action=delete", "signed_in fresh_key"},
		{"GET /app.do action=view", "signed_in"},
		{"GET /app.do UNREADABLE", "signed_in fresh_key"},
		{"GET /other.do?action=delete", "mfa"},
		{"GET /admin", "mfa fresh_key"},
		{"GET /debug", "deny"},
		{"GET /debug/vars", "deny"},
		{"GET /DEBUG/vars", "deny"},
		{"GET /%64ebug/vars", "deny"},
		{"GET /assets%2f..debug", "mfa"},
		{"GET /debug;x=1/vars", "deny"},
		{"GET /nowhere", "mfa"},
		{"PUT /nowhere", "mfa fresh_key"},
		{"post /cases/7", "mfa phishing_resistant fresh_key"},
	}
	for _, tt := range tests {
		t.Run(tt.request, func(t *testing.T) {
			if got := says(p, p.Decide(request(t, tt.request))); got != tt.want {
				t.Errorf("needs %q, want %q", got, tt.want)
			}
		})
	}
}

func TestMostSpecificPatternDecides(t *testing.T) {
	const rules = `
level a { accept totp }
level b { accept sms }
level c { accept email }
level d { accept pin }
default signed_in
`
	tests := []struct{ name, rules, path, want string }{
		{"a literal beats a glob", "require a /x/one.pdf\nrequire b /x/*.pdf", "/x/one.pdf", "a"},
		{"a glob beats a free segment", "require a /x/*.pdf/y\nrequire b /x/*/y", "/x/one.pdf/y", "a"},
		{"a free segment beats a subtree", "require a /x/*/y\nrequire b /x/*", "/x/1/y", "a"},
		{"an exact end beats a subtree", "require a /x\nrequire b /x/*", "/x", "a"},
		{"a subtree has its own root", "require b /x/*", "/x", "b"},
		{"the left counts first", "require a /x/*\nrequire b /*/y/z", "/x/y/z", "a"},
		{"the left counts first, for globs", "require a /x*/*\nrequire b /*/y/z", "/xx/y/z", "a"},
		{"globs tie", "require a /x/*.pdf\nrequire b /x/secret*", "/x/secret.pdf", "a b"},
		{"globs that tie go on", "require a /*.d/y\nrequire b /secret*/y\nrequire c /secret*/*", "/secret.d/y", "a b"},
		{"the better end of globs that tie", "require a /*.d/*\nrequire b /secret*/y", "/secret.d/y", "b"},
		{"a way that ends nowhere is left", "require a /x/y/z\nrequire b /x/*/w\nrequire c /x/*", "/x/y/w", "b"},
		{"a way that ends nowhere is left, to the subtree", "require a /x/y/z\nrequire b /x/*/w\nrequire c /x/*", "/x/y/v", "c"},
		{"other methods' patterns do not match", "require a /x/*\nrequire b DELETE /x/y", "/x/y", "a"},
		{"rules that tie hold together", "require a /x\nrequire b /x", "/x", "a b"},
		{"letter case does not tell patterns apart", "require a /X\nrequire b /x", "/x", "a b"},
		{"public and a level is the level", "public /x\nrequire b /x", "/x", "b"},
		{"a method beats no method", "require a GET /x\nrequire b /x", "/x", "a"},
		{"methods that tie hold together", "require a GET POST /x\nrequire c GET /x\nrequire b /x", "/x", "a c"},
		{"HEAD is GET", "require a GET HEAD /x\nrequire b /x", "/x", "a"},
		{"globs that tie keep their own methods", "require a GET /x/*.pdf\nrequire b /x/secret*", "/x/secret.pdf", "a b"},
		{"several levels of one rule", "require a b /x", "/x", "a b"},
		{"default", "require a /x", "/y", "signed_in"},
		{"the root alone", "require a /", "/", "a"},
		{"the root is not all", "require a /", "/x", "signed_in"},
		{"all", "require a /*", "/x/y", "a"},
		{"all has the root", "require a /*", "/", "a"},
		{"a whole segment", "require a /x/*", "/xy", "signed_in"},
		{"a glob stays in its segment", "require a /x/*.pdf", "/x/y/z.pdf", "signed_in"},
		{"a glob needs both ends", "require a /x/ab*ba", "/x/aba", "signed_in"},
		{"a glob with a middle", "require a /x/*report*2026*.pdf", "/x/my-report-in-2026-q1.pdf", "a"},
		{"a glob with a middle out of order", "require a /x/*report*2026*.pdf", "/x/2026-report.pdf", "signed_in"},
		{"unicode folds", "require a /straße/*", "/STRASSE/1", "a"},
		{"an encoding in a pattern", "require a /caf%C3%A9", "/caf%C3%A9", "a"},
		{"a slash at the end keeps both", "require a /x\nrequire b /x/*", "/x/", "a b"},
		{"a slash at a pattern's end", "require a /x/", "/x/", "a"},
		{"a slash at a pattern's end, without", "require a /x/", "/x", "a"},
		{"a subtree with a slash", "require a /x/*", "/x/", "a"},
		{"no slash of its own is no match", "require a /x", "/x/", "signed_in a"},
		{"an encoded slash in a pattern", "require a /x%2Fy", "/x%2fy", "signed_in a"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := policyOf(t, rules+tt.rules)
			if got := says(p, p.Decide(request(t, "GET "+tt.path))); got != tt.want {
				t.Errorf("%s needs %q, want %q", tt.path, got, tt.want)
			}
		})
	}
}

func TestSegmentsOfAnyLengthAreFound(t *testing.T) {
	const longest = 90
	var rules strings.Builder
	for n := 1; n <= longest; n += 2 {
		rules.WriteString("deny /a/" + strings.Repeat("x", n) + "/b\n")
	}
	p := policyOf(t, rules.String()+"default public")
	for n := 1; n <= longest; n++ {
		want := "public"
		if n%2 == 1 {
			want = "deny"
		}
		if got := says(p, p.Decide(request(t, "GET /a/"+strings.Repeat("x", n)+"/b"))); got != want {
			t.Errorf("a segment of %d: %s, want %s", n, got, want)
		}
		if got := says(p, p.Decide(request(t, "GET /a/"+strings.Repeat("x", n-1)+"y/b"))); got != "public" {
			t.Errorf("another segment of %d: %s, want public", n, got)
		}
	}
}

func TestOutcomesAndReasons(t *testing.T) {
	const rules = `
level fresh { accept totp; max_age 10m }
public /public/*
require signed_in /home/*
require mfa /cases/*
require mfa /admin/* { group admins owners }
require signed_in /admin/tied/* { group admins }
require signed_in /admin/tied/* { group night }
require signed_in /raised/* { raise fresh when client_ip office }
deny /debug/*
`
	p := policyOf(t, rules)
	password := Proof{Factor: Password, At: noon}
	totp := Proof{Factor: TOTP, Credential: "t", At: noon}
	person := func(r *Request, proofs ...Proof) { r.SignedIn, r.Proofs = true, append(proofs, password) }
	tests := []struct {
		name, request string
		facts         func(*Request)
		outcome       Outcome
		reason        string
		missing       string
	}{
		{"public", "GET /public/x", nil, Allow, ReasonPublic, ""},
		{"public for whom requirements press", "GET /public/x", func(r *Request) { person(r); r.Requires = []string{"mfa"} }, Allow, ReasonPublic, ""},
		{"nobody", "GET /cases/1", nil, StepUp, ReasonSignInNeeded, "mfa"},
		{"nobody, and proofs do not help", "GET /cases/1", func(r *Request) { r.Proofs = []Proof{password, totp} }, StepUp, ReasonSignInNeeded, "mfa"},
		{"nobody, and known levels do not help", "GET /cases/1", func(r *Request) { r.Met, r.MetKnown = ^LevelSet(0), true }, StepUp, ReasonSignInNeeded, "mfa"},
		{"signed in", "GET /home/", func(r *Request) { person(r) }, Allow, ReasonLevelsMet, ""},
		{"level missing", "GET /cases/1", func(r *Request) { person(r) }, StepUp, ReasonLevelMissing, "mfa"},
		{"level met", "GET /cases/1", func(r *Request) { person(r, totp) }, Allow, ReasonLevelsMet, ""},
		{"by the default", "GET /nowhere", func(r *Request) { person(r) }, StepUp, ReasonLevelMissing, "mfa"},
		{"required", "GET /home/", func(r *Request) { person(r); r.Requires = []string{"mfa"} }, StepUp, ReasonLevelRequired, "mfa"},
		{"required and met", "GET /home/", func(r *Request) { person(r, totp); r.Requires = []string{"mfa"} }, Allow, ReasonLevelsMet, ""},
		{"required and unknown", "GET /home/", func(r *Request) { person(r, totp); r.Requires = []string{"fresh"} }, Deny, ReasonRequireUnknown, ""},
		{"raised", "GET /raised/x", func(r *Request) { person(r); r.Context = "office" }, StepUp, ReasonLevelRaised, "fresh"},
		{"not raised", "GET /raised/x", func(r *Request) { person(r); r.Context = "home" }, Allow, ReasonLevelsMet, ""},
		{"raised by an error", "GET /raised/x", func(r *Request) { person(r); r.Context = "broken" }, StepUp, ReasonLevelRaised, "fresh"},
		{"denied", "GET /debug/x", func(r *Request) { person(r, totp) }, Deny, ReasonPathDenied, ""},
		{"nobody in a group", "GET /admin/x", nil, StepUp, ReasonSignInNeeded, "mfa"},
		{"not in the group", "GET /admin/x", func(r *Request) { person(r, totp); r.Groups = []string{"staff"} }, Deny, ReasonGroupMissing, ""},
		{"not in the group, before any challenge", "GET /admin/x", func(r *Request) { person(r) }, Deny, ReasonGroupMissing, "mfa"},
		{"in one of the groups", "GET /admin/x", func(r *Request) { person(r, totp); r.Groups = []string{"staff", "owners"} }, Allow, ReasonLevelsMet, ""},
		{"in one of two tied groups", "GET /admin/tied/x", func(r *Request) { person(r); r.Groups = []string{"admins"} }, Deny, ReasonGroupMissing, ""},
		{"in both tied groups", "GET /admin/tied/x", func(r *Request) { person(r); r.Groups = []string{"night", "admins"} }, Allow, ReasonLevelsMet, ""},
		{"group names are taken to the letter", "GET /admin/x", func(r *Request) { person(r, totp); r.Groups = []string{"Admins"} }, Deny, ReasonGroupMissing, ""},
		{"no readings", "GET /public/x", func(r *Request) { r.Target = &target.Readings{} }, Deny, ReasonNothingToJudge, ""},
		{"no target", "GET /public/x", func(r *Request) { r.Target = nil }, Deny, ReasonNothingToJudge, ""},
		{"no readings of a rewrite", "GET /public/x", func(r *Request) { r.Also = []*target.Readings{nil} }, Deny, ReasonNothingToJudge, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := request(t, tt.request)
			if tt.facts != nil {
				tt.facts(r)
			}
			d := p.Decide(r)
			if d.Outcome != tt.outcome || d.Reason != tt.reason {
				t.Errorf("%v, %s; want %v, %s", d.Outcome, d.Reason, tt.outcome, tt.reason)
			}
			if got := strings.Join(p.LevelNames(d.Missing), " "); got != tt.missing {
				t.Errorf("missing %q, want %q", got, tt.missing)
			}
		})
	}
}

func TestZeroDecisionDenies(t *testing.T) {
	if d := (Decision{}); d.Outcome != Deny {
		t.Errorf("zero decision is %v", d.Outcome)
	}
}

func TestEveryTargetHolds(t *testing.T) {
	p := policyOf(t, "public /public/*\nrequire mfa /cases/*\ndeny /debug/*\nrequire phishing_resistant /app.do?x=1\nrequire signed_in /app.do")
	tests := []struct{ sent, rewritten, want string }{
		{"/public/a", "/cases/1", "mfa"},
		{"/cases/1", "/public/a", "mfa"},
		{"/public/a", "/public/b", "public"},
		{"/public/a", "/debug/x", "deny"},
		{"/debug/x", "/public/a", "deny"},
		{"/app.do", "/app.do?x=1", "signed_in phishing_resistant"},
		{"/app.do?x=1", "/app.do", "signed_in phishing_resistant"},
	}
	for _, tt := range tests {
		r := request(t, "GET "+tt.sent)
		r.Also = []*target.Readings{read(t, tt.rewritten)}
		if got := says(p, p.Decide(r)); got != tt.want {
			t.Errorf("%s made %s needs %q, want %q", tt.sent, tt.rewritten, got, tt.want)
		}
	}
}

func TestDefault(t *testing.T) {
	for _, tt := range []struct{ line, want string }{
		{"", "mfa"},
		{"default signed_in", "signed_in"},
		{"default mfa phishing_resistant", "mfa phishing_resistant"},
		{"default deny", "deny"},
		{"default public", "public"},
	} {
		p := policyOf(t, tt.line)
		d := p.Decide(request(t, "GET /x"))
		if got := says(p, d); got != tt.want || d.Rule != nil {
			t.Errorf("%q: needs %q by rule %v, want %q by none", tt.line, got, d.Rule, tt.want)
		}
	}
}

func TestRequirementsKeepTheirBuiltInMeaning(t *testing.T) {
	p := policyOf(t, "level mfa { accept email }\nrequire mfa /*")
	email := Proof{Factor: Email, Credential: "e", At: noon}
	r := request(t, "GET /x")
	r.SignedIn, r.Proofs = true, []Proof{{Factor: Password, At: noon}, email}
	if d := p.Decide(r); d.Outcome != Allow {
		t.Fatalf("the site's own mfa: %v", d.Outcome)
	}
	r.Requires = []string{LevelMFA}
	d := p.Decide(r)
	if d.Outcome != StepUp || strings.Join(p.LevelNames(d.Needed), " ") != "mfa" || strings.Join(p.LevelNames(d.Missing), " ") != "mfa" {
		t.Errorf("an organisation's mfa: %v, needs %v", d.Outcome, p.LevelNames(d.Needed))
	}
	if got := strings.Join(p.MetNames(p.Met(r.Proofs, true, noon)), " "); got != "signed_in mfa" {
		t.Errorf("met by the site's names: %q", got)
	}
}

func TestDecisionNamesTheRuleThatDecided(t *testing.T) {
	p := policyOf(t, contractSample)
	tests := []struct {
		request, pattern string
		line             int
	}{
		{"GET /debug/x", "/debug/*", 11},
		{"GET /cases/1", "/cases/*", 6},
		{"DELETE /cases/1", "/cases/*", 7},
		{"GET /assets/x", "/assets/*", 4},
		{"GET /favicon.ico", "/favicon.ico", 4},
		{"GET /app.do", "/app.do", 8},
	}
	for _, tt := range tests {
		d := p.Decide(request(t, tt.request))
		if d.Rule == nil || d.Rule.Pattern().String() != tt.pattern || d.Rule.Position().Line != tt.line {
			t.Errorf("%s: rule %+v, want %s of line %d", tt.request, d.Rule, tt.pattern, tt.line)
		}
	}
	t.Run("the one whose level is missing", func(t *testing.T) {
		r := request(t, "GET /app.do?action=delete")
		r.SignedIn, r.Proofs = true, []Proof{{Factor: Password, At: noon}}
		if d := p.Decide(r); d.Rule == nil || d.Rule.Pattern().String() != "/app.do?action=delete*" {
			t.Errorf("rule %+v", d.Rule)
		}
	})
}

func TestMaxAgeIsTheShortestNeeded(t *testing.T) {
	p := policyOf(t, "level a { accept totp; max_age 10m }\nlevel b { accept sms; max_age 5m }\nrequire a b /x\nrequire mfa /y")
	if d := p.Decide(request(t, "GET /x")); Duration(d.MaxAge).String() != "5m" {
		t.Errorf("max age %v", d.MaxAge)
	}
	if d := p.Decide(request(t, "GET /y")); d.MaxAge != 0 {
		t.Errorf("max age %v", d.MaxAge)
	}
}

func TestPolicyIsSafeForConcurrentUse(t *testing.T) {
	p := policyOf(t, contractSample)
	var group sync.WaitGroup
	for range 4 {
		r := request(t, "POST /cases/7?_method=DELETE x=1")
		group.Go(func() {
			for range 200 {
				if got := says(p, p.Decide(fresh(r))); got != "phishing_resistant fresh_key" {
					t.Errorf("needs %q", got)
				}
				p.Explain(fresh(r))
			}
		})
	}
	group.Wait()
}

func TestDecideAllocatesNothing(t *testing.T) {
	p := policyOf(t, contractSample)
	for _, target := range []string{"/cases/17/notes", "/assets/site.css", "/", "/app.do", "/nowhere"} {
		r := request(t, "GET "+target)
		r.SignedIn, r.MetKnown, r.Met = true, true, ^LevelSet(0)
		if n := testing.AllocsPerRun(100, func() { p.Decide(r) }); n != 0 {
			t.Errorf("%s: %v allocations", target, n)
		}
	}
}

func TestASlashAtTheEndNeedsBothAndAStarIsAnySegment(t *testing.T) {
	p := policyOf(t, `level a { accept totp }
		level b { accept sms }
		level c { accept email }
		require a /x
		require b /x/*
		require c /x/*/z
		public /y/*
		require a /y
		require b /w/
		require c /w/*
		default signed_in`)
	for path, want := range map[string]string{
		"/x": "a", "/x/": "a b", "/x/q": "b", "/x/q/": "b", "/x//z": "b c", "/x/q/z/": "b c",
		"/y": "a", "/y/": "a", "/y/q": "public", "/w": "b", "/w/": "b", "/w/q": "c",
	} {
		if got := says(p, p.Decide(request(t, "GET "+path))); got != want {
			t.Errorf("%s needs %q, want %q", path, got, want)
		}
	}
}
