package author

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func changesOf(t testing.TB, was, is string) []Change {
	t.Helper()
	d, err := Diff(siteOf(t, was), siteOf(t, is), noon)
	if err != nil {
		t.Fatal(err)
	}
	if !d.Complete {
		t.Errorf("something was left out")
	}
	return d.Changes
}

// line is a change in short.
func (c Change) line() string {
	return strings.Join(strings.Fields(fmt.Sprintf("%s %s %s %s %s %s -> %s", c.Direction, c.Pattern, strings.Join(c.Methods, ","), c.When, c.Group, words(c.Old), words(c.New))), " ")
}

func TestDiffSaysWhatBecomesWeakerOrStronger(t *testing.T) {
	for _, tt := range []struct {
		name, was, is string
		want          []string
	}{
		{"nothing", contractSample, contractSample, nil},
		{"order does not matter", "public /a\nrequire mfa /b", "require mfa /b\npublic /a", nil},
		{"a rule is weaker", "require mfa /a/*", "require signed_in /a/*", []string{"weaker /a/* mfa -> signed_in"}},
		{"a rule is gone", "require phishing_resistant /a/*", "", []string{"weaker /a/* phishing_resistant -> mfa"}},
		{"a rule is new", "", "public /a", []string{"weaker /a mfa -> public"}},
		{"for one method", "require signed_in /a", "require signed_in /a\nrequire mfa POST /a", []string{"stronger /a POST signed_in -> mfa"}},
		{"for the others", "require mfa /a\nrequire mfa POST /a", "require signed_in /a\nrequire mfa POST /a", []string{"weaker /a * mfa -> signed_in"}},
		{"a level means less", "level key { accept webauthn }\nrequire key /a", "level key { accept webauthn totp }\nrequire key /a", []string{"weaker /a key -> key"}},
		{"a level means something else", "level x { accept totp }\nrequire x /a", "level x { accept webauthn }\nrequire x /a", []string{"both /a x -> x"}},
		{"a level is renamed", "level x { accept totp }\nrequire x /a", "level y { accept totp }\nrequire y /a", nil},
		{"a query rule is gone", "default signed_in\nrequire mfa /a?do=x*", "default signed_in", []string{"weaker /a?do=x* signed_in mfa -> signed_in"}},
		{"the default", "", "default deny", []string{"stronger default mfa -> deny"}},
		{"a raise is gone", "default signed_in\nraise mfa when risk high", "default signed_in", []string{"weaker default risk high signed_in mfa -> signed_in"}},
		{"once is gone", "level pay { accept totp; once }\nrequire pay /a", "level pay { accept totp }\nrequire pay /a", []string{"weaker /a pay -> pay"}},
		{"once is new", "level pay { accept totp }\nrequire pay /a", "level pay { accept totp; once }\nrequire pay /a", []string{"stronger /a pay -> pay"}},
		{"conditions that stand together", "default signed_in\nraise mfa { header X-A 1; header X-B 1 }", "default signed_in",
			[]string{"weaker default header X-A 1 and header X-B 1 signed_in mfa -> signed_in"}},
		{"one of two conditions", "default signed_in\nraise mfa { header X-A 1; header X-B 1 }", "default signed_in\nraise mfa when header X-A 1",
			[]string{"stronger default header X-A 1 and not header X-B 1 signed_in -> signed_in mfa"}},
		{"one more condition", "default signed_in\nraise mfa when header X-A 1", "default signed_in\nraise mfa { header X-A 1; header X-B 1 }",
			[]string{"weaker default header X-A 1 and not header X-B 1 signed_in mfa -> signed_in"}},
		{"conditions that stand apart", "default signed_in\nraise mfa when header X-A 1\nraise mfa when header X-B 1", "default signed_in\nraise mfa when header X-A 1",
			[]string{"undecided default not header X-A 1 and header X-B 1 signed_in mfa -> signed_in"}},
		{"conditions that come to stand apart", "default signed_in\nraise mfa when header X-A 1", "default signed_in\nraise mfa when header X-A 1\nraise mfa when header X-B 1",
			[]string{"stronger default not header X-A 1 and header X-B 1 signed_in -> signed_in mfa"}},
		{"two things at one path", "default signed_in\nraise mfa when organisation acme\nraise phishing_resistant when risk high", "default signed_in",
			[]string{"weaker default organisation acme signed_in mfa -> signed_in", "weaker default risk high signed_in phishing_resistant -> signed_in"}},
		{"a raise is in a rule", "require signed_in /a", "require signed_in /a { raise mfa when not device private }",
			[]string{"stronger /a not device private signed_in -> signed_in mfa"}},
		{"a group is new", "require mfa /a", "require mfa /a { group admins }", []string{"stronger /a (none) mfa -> deny"}},
		{"another group", "require mfa /a { group admins }", "require mfa /a { group staff }",
			[]string{"weaker /a staff deny -> mfa", "stronger /a admins mfa -> deny"}},
		{"a subtree gets a hole", "require mfa /a/*", "require mfa /a/*\npublic /a/b/*", []string{"weaker /a/b/* mfa -> public"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, c := range changesOf(t, tt.was, tt.is) {
				got = append(got, c.line())
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestDiffTurnsAround compares random policies both ways.
func TestDiffTurnsAround(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	word := func(words ...string) string { return words[random.IntN(len(words))] }
	config := func() string {
		lines := []string{"level key { accept " + word("webauthn", "webauthn totp", "totp+pin") + " }", "default " + word("mfa", "signed_in", "deny")}
		for range random.IntN(5) {
			path := word("/a", "/a/*", "/*/b", "/a/b/*", "/a/*?x=1", "/c*")
			verb := word("require mfa", "require key", "require signed_in", "deny")
			block := ""
			if verb != "deny" {
				block = word("", " { group g }", " { raise phishing_resistant when risk high }")
			}
			lines = append(lines, verb+" "+word("", "POST ")+path+block)
		}
		return strings.Join(lines, "\n")
	}
	opposite := map[Direction]Direction{Weaker: Stronger, Stronger: Weaker, Both: Both, Undecided: Undecided}
	for range 100 {
		was, is := config(), config()
		var there, back []string
		for _, c := range changesOf(t, was, is) {
			there = append(there, c.line())
		}
		for _, c := range changesOf(t, is, was) {
			c.Direction, c.Old, c.New = opposite[c.Direction], c.New, c.Old
			back = append(back, c.line())
		}
		slices.Sort(there)
		slices.Sort(back)
		if diff := cmp.Diff(there, back); diff != "" {
			t.Fatalf("%s\n--\n%s\n(-there +back):\n%s", was, is, diff)
		}
	}
}

// TestDiffTellsHowALevelHasChanged that has kept its name.
func TestDiffTellsHowALevelHasChanged(t *testing.T) {
	const rule = "\nrequire x mfa /a"
	changes := changesOf(t, "level x { accept totp+pin webauthn; max_age 10m }"+rule, "level x { accept webauthn; max_age 20m; once }"+rule)
	if len(changes) == 0 {
		t.Fatal("nothing has changed")
	}
	if diff := cmp.Diff([]string{"x: accept totp+pin webauthn max_age 10m -> accept webauthn max_age 20m once"}, changes[0].Levels); diff != "" {
		t.Error(diff)
	}
}

func TestDiffGolden(t *testing.T) {
	var b strings.Builder
	for _, c := range changesOf(t, contractSample, strings.Replace(contractSample, "require mfa /cases/*", "require signed_in GET /cases/*\nrequire mfa /cases/*", 1)) {
		c.Render(&b)
	}
	golden(t, "diff.golden", b.String())
}
