package policy

import (
	"testing"

	"github.com/stepgate/stepgate/policy/target"
)

func TestRulesForAScriptHoldForWhatFollowsIt(t *testing.T) {
	const rules = `
level a { accept totp }
level b { accept sms }
default public
`
	tests := []struct{ name, rules, request, want string }{
		{"exactly the script", "require a /admin.php", "GET /admin.php/x", "a"},
		{"with a slash at the end", "require a /admin.php", "GET /admin.php/", "a"},
		{"with a slash at the pattern's end", "require a /admin.php/", "GET /admin.php/x/y", "a"},
		{"in a folder", "require a /app/admin.php", "GET /app/admin.php/x", "a"},
		{"in any folder", "require a /*/admin.php", "GET /app/admin.php/x", "a"},
		{"a glob", "require a /*.php", "GET /admin.php/x", "a"},
		{"a literal before a glob", "require a /*.php\nrequire b /admin.php", "GET /admin.php/x", "b"},
		{"a literal that is public before a glob", "require a /*.php\npublic /login.php", "GET /login.php/x", "public"},
		{"beside what the whole path needs", "require a /admin.php\nrequire b /admin.php/x", "GET /admin.php/x", "a b"},
		{"beside what follows it needs", "require a /admin.php\nrequire b /x", "GET /admin.php/x", "a b"},
		{"beside a subtree above it", "require a /app/admin.php\nrequire b /app/*", "GET /app/admin.php/x", "a b"},
		{"below a public subtree", "public /*\nrequire a /admin.php", "GET /admin.php/x", "a"},
		{"denied", "deny /admin.php", "GET /admin.php/x", "deny"},
		{"in any spelling", "require a /admin.php", "GET /ADMIN%2Ephp;x%2Fy", "a"},
		{"of two, the outer", "require a /a.php", "GET /a.php/b.php/c", "a"},
		{"of two, the inner", "require a /a.php/b.php", "GET /a.php/b.php/c", "a"},
		{"of two, what the outer hands on", "require a /b.php", "GET /a.php/b.php/c", "a"},
		{"its method", "require a POST /admin.php", "POST /admin.php/x", "a"},
		{"a method that is claimed", "require a POST /admin.php", "GET /admin.php/x?_method=POST", "a"},
		{"another method", "require a POST /admin.php", "GET /admin.php/x", "public"},
		{"its query", "require a /admin.php?do=delete", "GET /admin.php/x?do=delete", "a"},
		{"its form", "require a /admin.php?do=delete", "POST /admin.php/x do=delete", "a"},
		{"another query", "require a /admin.php?do=delete", "GET /admin.php/x?do=view", "public"},
		{"its raise", "require signed_in /admin.php { raise a when client_ip office }", "GET /admin.php/x", "signed_in a"},
		{"no rule of its own", "require a /admin", "GET /admin.php/x", "public"},
		{"a front controller's own rules", "require a /index.php/cases/*\npublic /index.php", "GET /index.php/help", "public"},
		{"a subtree is not exactly", "require a /index.php/*\npublic /index.php/help /help", "GET /index.php/help", "public"},
		{"what looks like one and is none", "require a /notes", "GET /notes/x", "public"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := policyOf(t, rules+tt.rules)
			r := request(t, tt.request)
			r.Context = "office"
			if got := says(p, p.Decide(r)); got != tt.want {
				t.Errorf("%s needs %q, want %q", tt.request, got, tt.want)
			}
		})
	}
}

func TestClaimedMethodsHoldWithTheRealOne(t *testing.T) {
	p := policyOf(t, "level a { accept totp }\nlevel b { accept sms }\nrequire signed_in /x\nrequire a POST /x\nrequire b DELETE /x")
	tests := []struct {
		request string
		claimed []string
		want    string
	}{
		{"POST /x", nil, "a"},
		{"POST /x", []string{"DELETE"}, "a b"},
		{"POST /x", []string{" delete "}, "a b"},
		{"POST /x", []string{"DELETE, PATCH"}, "signed_in a b"},
		{"POST /x", []string{"PATCH,delete"}, "signed_in a b"},
		{"POST /x", []string{"PATCH"}, "signed_in a"},
		{"GET /x?_method=DELETE", []string{"POST"}, "signed_in a b"},
		{"POST /x _method=DELETE", nil, "a b"},
		{"POST /x _METHOD=DELETE", nil, "a b"},
		{"POST /x _method=HEAD", nil, "signed_in a"},
		{"POST /x UNREADABLE", nil, "signed_in a b"},
		{"GET /y?_method=DELETE", nil, "mfa"},
	}
	for _, tt := range tests {
		r := request(t, tt.request)
		r.Claimed = tt.claimed
		if got := says(p, p.Decide(r)); got != tt.want {
			t.Errorf("%s claiming %q needs %q, want %q", tt.request, tt.claimed, got, tt.want)
		}
	}
}

func TestRewrittenTargetsClaimMethodsToo(t *testing.T) {
	p := policyOf(t, "require signed_in /x\nrequire phishing_resistant DELETE /x")
	r := request(t, "GET /x")
	r.Also = []*target.Readings{read(t, "/x?_method=DELETE")}
	if got := says(p, p.Decide(r)); got != "signed_in phishing_resistant" {
		t.Errorf("needs %q", got)
	}
}

func TestFormIsReadOnlyWhereItCouldMatter(t *testing.T) {
	p := policyOf(t, `
level a { accept totp }
require mfa /plain/*
require mfa /methods/*
require a DELETE /methods/*
require mfa /query/*
require a /query/*?x=1
require mfa /raise/* { raise a when form x 1 }
require a /raise/off/* { raise a when form x 1 }
require mfa /method-raise/* { raise a when method POST }
`)
	tests := []struct {
		request string
		want    bool
	}{
		{"POST /plain/1", false},
		{"POST /nowhere", false},
		{"POST /methods/1", true},
		{"POST /query/1", true},
		{"POST /query/1?x=1", false},
		{"POST /raise/1", true},
		{"POST /raise/off/1", false},
		{"POST /method-raise/1", false},
		{"GET /method-raise/1", true},
	}
	for _, tt := range tests {
		r := request(t, tt.request)
		calls := 0
		r.Form = func() (string, []byte, bool) {
			calls++
			return "application/x-www-form-urlencoded", []byte("y=1"), true
		}
		p.Decide(r)
		p.Decide(r)
		if got := calls > 0; got != tt.want || calls > 1 {
			t.Errorf("%s: form read %d times, want it read: %v", tt.request, calls, tt.want)
		}
	}
}

func TestQueryRulesOnlyAdd(t *testing.T) {
	p := policyOf(t, `
level a { accept totp }
level b { accept sms }
level c { accept email }
public /open/*
require signed_in /app/*
require a /app/*?x=1
require b /app/sub?x=1&y=*
require c POST /app/*?x=1
deny /app/*?kill
require a /open/*?x=1 { group admins }
require b /*?debug=*on* { raise c when device unknown }
raise c when risk high
`)
	tests := []struct{ request, want string }{
		{"GET /app/sub", "signed_in"},
		{"GET /app/sub?x=1", "signed_in a"},
		{"GET /app/sub?x=1&y=", "signed_in a b"},
		{"GET /app/sub?x=1&y=2", "signed_in a b"},
		{"GET /app/sub?x=11", "signed_in"},
		{"POST /app/sub x=1", "signed_in a c"},
		{"POST /app/sub?y=3 x=1", "signed_in a b c"},
		{"GET /app/sub?x=1&_method=POST", "signed_in a c"},
		{"GET /app?kill", "deny"},
		{"GET /app?kill=", "deny"},
		{"GET /open/", "public"},
		{"GET /open/?x=1", "a"},
		{"GET /?debug=upon", "mfa b c"},
	}
	for _, tt := range tests {
		if got := says(p, p.Decide(request(t, tt.request))); got != tt.want {
			t.Errorf("%s needs %q, want %q", tt.request, got, tt.want)
		}
	}
	t.Run("a group of a query rule", func(t *testing.T) {
		r := request(t, "GET /open/?x=1")
		r.SignedIn = true
		if d := p.Decide(r); d.Outcome != Deny || d.Reason != ReasonGroupMissing {
			t.Errorf("%v %s, want it denied for the group", d.Outcome, d.Reason)
		}
	})
	t.Run("a path made private is raised and required", func(t *testing.T) {
		r := request(t, "GET /open/?x=1")
		r.Risk = RiskHigh
		r.Requires = []string{LevelPhishingResistant}
		if got := says(p, p.Decide(r)); got != "phishing_resistant a c" {
			t.Errorf("needs %q", got)
		}
	})
}
