package author

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepgate/stepgate/policy"
)

func TestLintFindsEachKind(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       string // CODE LINE, …
	}{
		{"clean", "public /assets/*\nrequire mfa /cases/*\nrequire phishing_resistant POST /cases/*", ""},
		{"weaker inside", "require mfa /cases/*\nrequire signed_in /cases/help", "weaker-inside 2"},
		{"public inside", "require mfa /*\npublic /assets/*", "weaker-inside 2"},
		{"open inside denied", "deny /debug/*\nrequire mfa /debug/health", "weaker-inside 2"},
		{"stronger inside", "require signed_in /a/*\nrequire mfa /a/b\ndeny /a/c", ""},
		{"weaker only for a method", "require mfa /a/*\nrequire signed_in GET /a/b", "weaker-inside 2"},
		{"nearest counts", "require mfa /*\nrequire signed_in /a/*\nrequire signed_in /a/b", "weaker-inside 2"},
		{"another method of the subtree", "require mfa POST /a/*\nrequire signed_in GET /a/b", ""},
		{"age counts", "level quick { accept totp; max_age 5m }\nlevel slow { accept totp }\nrequire quick /a/*\nrequire slow /a/b", "weaker-inside 4"},
		{"crossing", "require signed_in /app/*\nrequire phishing_resistant /*/admin/*", "crossing 1"},
		{"crossing a denial", "require mfa /portal/*\ndeny /*/internal/*", "crossing 1"},
		{"crossing, and as much", "require mfa /app/*\nrequire mfa /*/admin/*", ""},
		{"weaker by a method of one pattern", "require phishing_resistant /c/*\nrequire signed_in POST /c/*", "weaker-method 2"},
		{"public by a method of one pattern", "require mfa /c/*\npublic OPTIONS /c/*", "weaker-method 2"},
		{"group lost by a method", "require mfa /admin/* { group admins }\nrequire phishing_resistant POST /admin/*", "group-lost 2"},
		{"group widened", "require mfa /a/* { group admins }\nrequire mfa /a/b { group admins staff }", "group-lost 2"},
		{"group narrowed", "require mfa /a/* { group admins staff }\nrequire mfa /a/b { group admins }", ""},
		{"raise lost inside", "require mfa /a/* { raise phishing_resistant when risk high }\nrequire mfa /a/b", "raise-lost 2"},
		{"raise lost by a method", "require mfa /a/* { raise phishing_resistant when risk high }\nrequire mfa POST /a/*", "raise-lost 2"},
		{"raise kept", "require mfa /a/* { raise phishing_resistant when risk high }\nrequire mfa /a/b { raise phishing_resistant when risk high }", ""},
		{"raise not needed", "require mfa /a/* { raise phishing_resistant when risk high }\nrequire phishing_resistant /a/b", ""},
		{"raise never holds", "raise phishing_resistant { device private; device unknown }", "raise-never 1"},
		{"raise never holds for the method", "require mfa GET /a { raise phishing_resistant when method POST }", "raise-never 1"},
		{"raise that the client turns off", "raise phishing_resistant when not header X-Inside 1", "client-decides 1"},
		{"methods left out", "require mfa /a/*\nrequire phishing_resistant POST DELETE /a/*", "method-gap 2"},
		{"public everywhere", "public /*", "public-wide 1"},
		{"public by a beginning", "public /a*", "public-wide 1"},
		{"public by an ending", "public /*/*.css", "public-wide 1"},
		{"public root", "public /\npublic /assets/*.css", ""},
		{"a regular expression", "require phishing_resistant /cases/[0-9]+", "like-regexp 1"},
		{"the gateway's own pages", "public /.stepgate/*", "own-pages 1"},
		{"a method that nobody uses", "require phishing_resistant FOO /a", "unknown-method 1"},
		{"an age that is too short", "level quick { accept totp; max_age 1s }\nrequire quick /a", "short-max-age 1"},
		{"an age beyond the session", "level slow { accept totp; max_age 48h }\nrequire slow /a", "long-max-age 1"},
		{"a page with a session in its path", "public /login.jsp", "session-in-path 1"},
		{"group lost", "require mfa /a/* { group admins }\nrequire mfa /a/b", "group-lost 2"},
		{"shadowed subtree", "require mfa /a/*\nrequire mfa /a\nrequire mfa /a/*/*", "unreachable 1"},
		{"reached subtree", "require mfa /a/*\nrequire mfa /a/*/*", ""},
		{"duplicate", "require mfa /a\nrequire mfa /A", "duplicate 2"},
		{"twice in a line", "require mfa /a /a", "duplicate 1"},
		{"adds nothing beside", "require mfa /a\nrequire signed_in /a", "adds-nothing 2"},
		{"adds nothing beside, other order", "require signed_in /a\nrequire mfa /a", "adds-nothing 1"},
		{"adds nothing to deny", "deny /a\nrequire mfa /a", "adds-nothing 2"},
		{"beside and useful", "level pin { accept pin+totp }\nrequire phishing_resistant /a\nrequire pin /a", ""},
		{"query adds nothing", "require mfa /a\nrequire signed_in /a?x=y", "query-adds-nothing 2"},
		{"query adds", "require signed_in /a\nrequire mfa /a?x=y\nrequire mfa /b/*?x\nrequire signed_in /b/c", ""},
		{"query adds somewhere inside", "require mfa /b/*\nrequire mfa /b/*?x\nrequire signed_in /b/c", "weaker-inside 3"},
		{"raise adds nothing", "raise signed_in when risk high", "raise-adds-nothing 1"},
		{"raise adds nothing in a rule", "require mfa /a { raise signed_in when risk high }", "raise-adds-nothing 1"},
		{"raise adds", "raise mfa when risk high\nrequire signed_in /a", ""},
		{"raise of the default", "default signed_in\nraise mfa when risk high", "weak-default 1"},
		{"nobody can meet", "level text { accept sms+totp }\nrequire text /a", "unmeetable-level 1"},
		{"two keys", "level keys { accept webauthn+webauthn }\nrequire keys /a", ""},
		{"typed elsewhere", "level each { accept password; once }\nrequire each /a", "knowledge-only 1, unmeetable-level 1"},
		{"typed elsewhere, beside a code", "level each { accept password+totp; once }\nrequire each /a", "unmeetable-level 1"},
		{"typed elsewhere, or a code", "level each { accept password totp; once }\nrequire each /a", "knowledge-only 1"},
		{"typed elsewhere before", "level fresh { accept password+totp; max_age 10m }\nrequire fresh /a", ""},
		{"one way is enough", "level text { accept sms totp }\nrequire text /a", ""},
		{"knowledge", "level know { accept totp security_questions+pin }\nrequire know /a", "knowledge-only 1"},
		{"questions beside an app", "level know { accept totp+security_questions }\nrequire know /a", "security-questions 1"},
		{"e-mail", "level mfa { also email }", "email-factor 1"},
		{"e-mail beside a key", "level two { accept email+webauthn }\nrequire two /a", "unmeetable-level 1"},
		{"weak default", "default signed_in", "weak-default 1"},
		{"public default", "default public", "weak-default 1"},
		{"strong default", "default phishing_resistant", ""},
		{"denied default", "default deny", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			offered := []policy.Factor{
				policy.Password, policy.TOTP, policy.WebAuthn, policy.PIN, policy.SecurityQuestions, policy.BackupCode, policy.TemporaryCode, policy.DevicePIN,
			}
			var got []string
			for _, f := range Lint(siteOf(t, tt.text), LintOptions{Offered: offered, TypedElsewhere: true, Now: noon, Session: 12 * time.Hour}) {
				got = append(got, fmt.Sprintf("%s %d", f.Code, f.Line))
				if f.Text == "" || f.Mend == "" || f.File != "Caddyfile" {
					t.Errorf("%+v", f)
				}
			}
			slices.Sort(got)
			if diff := cmp.Diff(tt.want, strings.Join(got, ", ")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestLintOfTheContractsSample: what it finds there is meant to be found.
func TestLintOfTheContractsSample(t *testing.T) {
	var b strings.Builder
	for _, f := range Lint(siteOf(t, contractSample+"\nlevel mfa { also email }"), LintOptions{Offered: policy.Factors(), Now: noon}) {
		f.Render(&b)
	}
	golden(t, "lint-sample.golden", b.String())
}

// TestWeakerAgreesWithEverySetOfProofs tries every set of up to four proofs of
// a few credentials at two ages against random levels.
func TestWeakerAgreesWithEverySetOfProofs(t *testing.T) {
	if testing.Short() {
		t.Skip("tries every set of proofs")
	}
	random := rand.New(rand.NewPCG(7, 7))
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	var proofs []policy.Proof
	for _, credential := range []string{"totp 1", "totp 2", "webauthn 1", "pin 1"} {
		factor, _, _ := strings.Cut(credential, " ")
		for _, age := range []time.Duration{time.Minute, time.Hour} {
			proofs = append(proofs, policy.Proof{Factor: policy.Factor(factor), Credential: credential, At: now.Add(-age), UserVerified: true})
		}
	}
	for range 150 {
		s := siteOf(t, fmt.Sprintf("level a { accept %s }\nlevel b { accept %s; max_age 10m }\nlevel c { accept %s }",
			alternatives(random), alternatives(random), alternatives(random)))
		sets := []policy.LevelSet{s.set([]string{"a"}), s.set([]string{"b"}), s.set([]string{"c"}), s.set([]string{"a", "b"}), s.set([]string{"b", "c"})}
		for _, x := range sets {
			for _, y := range sets {
				want := false
				for pick := range 1 << len(proofs) {
					var some []policy.Proof
					for i := range proofs {
						if pick>>i&1 == 1 {
							some = append(some, proofs[i])
						}
					}
					if len(some) > 4 {
						continue
					}
					some = append(some, policy.Proof{Factor: policy.Password, At: now.Add(-time.Hour)})
					met := s.Policy.Met(some, true, now)
					want = want || met.Has(x) && !met.Has(y)
				}
				if got := (effect{levels: x}).weaker(s.Policy, effect{levels: y}); got != want {
					t.Fatalf("%v weaker than %v: %v, every set of proofs says %v\n%+v", s.Policy.LevelNames(x), s.Policy.LevelNames(y), got, want, s.Config.Levels)
				}
			}
		}
	}
}

func alternatives(random *rand.Rand) string {
	words := []string{"totp", "webauthn", "pin", "totp+pin", "totp+totp", "webauthn+pin", "totp+webauthn"}
	random.Shuffle(len(words), func(i, j int) { words[i], words[j] = words[j], words[i] })
	return strings.Join(words[:1+random.IntN(3)], " ")
}

func TestLintTellsOfRulesThatEnd(t *testing.T) {
	for days, want := range map[int]string{15: "", 13: "ends with", 0: "has ended", -30: "has ended"} {
		s := siteOf(t, "public /a")
		s.Config.Rules[0].Until = noon.AddDate(0, 0, days)
		p, err := policy.Compile(s.Config, policy.CompileOptions{})
		if err != nil {
			t.Fatal(err)
		}
		s.Policy = p
		text := ""
		for _, f := range Lint(s, LintOptions{Offered: policy.Factors(), Now: noon}) {
			text += f.Text
		}
		if want == "" && text != "" || !strings.Contains(text, want) {
			t.Errorf("%d days before: %q", days, text)
		}
	}
}

func TestAcceptanceHoldsForItsLineAndItsReason(t *testing.T) {
	found := []Finding{{Code: "weaker-inside", File: "Caddyfile", Line: 1}, {Code: "crossing", File: "Caddyfile", Line: 1}, {Code: "crossing", File: "Caddyfile", Line: 2}}
	for _, tt := range []struct{ text, want string }{
		{"public /a # lint: ok weaker-inside: no data there", "crossing 1, crossing 2"},
		{"public /a # lint: ok weaker-inside, crossing: no data there", "crossing 2"},
		{"public /a # lint: ok weaker-inside", "weaker-inside 1, crossing 1, accepts-without-reason 1, crossing 2"},
		{"public /a # lint: ok weaker-inside:", "weaker-inside 1, crossing 1, accepts-without-reason 1, crossing 2"},
		{"public /a # lint: ok duplicate: why", "weaker-inside 1, crossing 1, accepts-nothing 1, crossing 2"},
		{"\n\npublic /a # lint: ok crossing: why", "weaker-inside 1, crossing 1, crossing 2, accepts-nothing 3"},
		{"public /a#lint: ok crossing: why", "weaker-inside 1, crossing 1, crossing 2"},
	} {
		var got []string
		for _, f := range Accept(found, "/etc/Caddyfile", tt.text) {
			got = append(got, fmt.Sprintf("%s %d", f.Code, f.Line))
		}
		if diff := cmp.Diff(tt.want, strings.Join(got, ", ")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.text, diff)
		}
	}
}
