package policy

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// TestRulesForAgreesWithExplain asks both about random policies and paths.
func TestRulesForAgreesWithExplain(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	word := func(words ...string) string { return words[random.IntN(len(words))] }
	for range 300 {
		var lines []string
		for range 1 + random.IntN(8) {
			path := ""
			for range random.IntN(4) {
				path += "/" + word("a", "b", "*", "a*", "*b", "ab")
			}
			lines = append(lines, "require "+word("mfa", "signed_in")+" "+word("", "POST ", "GET ")+rooted(path))
		}
		p := policyOf(t, strings.Join(lines, "\n"))
		for range 20 {
			path := ""
			for range random.IntN(4) {
				path += "/" + word("a", "b", "ab", "c")
			}
			method, path := word("GET", "POST", "PUT"), rooted(path)
			x := p.Explain(request(t, method+" "+path))
			var want, got []int
			for _, r := range x.Readings[0].Rules {
				want = append(want, r.Line)
			}
			for _, r := range p.RulesFor(method, path) {
				if r != p.Default() && !slices.Contains(got, r.Position().Line) {
					got = append(got, r.Position().Line)
				}
			}
			if !slices.Equal(want, got) {
				t.Fatalf("%s %s of\n%s\nlines %v, Explain says %v", method, path, strings.Join(lines, "\n"), got, want)
			}
		}
	}
}

// TestWeakerThanComparesTwoPolicies says that names do not count across
// policies, only what meets them.
func TestWeakerThanComparesTwoPolicies(t *testing.T) {
	a := policyOf(t, "level key { accept webauthn }\nlevel quick { accept totp; max_age 5m }")
	b := policyOf(t, "level key { accept webauthn+totp }\nlevel once { accept totp; once }")
	each := policyOf(t, "level pay { accept totp webauthn; once }\nlevel sign { accept totp; once }")
	ever := policyOf(t, "level pay { accept totp webauthn }\nlevel sign { accept webauthn }")
	set := func(p *Policy, name string) LevelSet {
		l, ok := p.Level(name)
		if !ok {
			t.Fatalf("no level %s", name)
		}
		return l.Set()
	}
	for _, tt := range []struct {
		p     *Policy
		level string
		q     *Policy
		than  string
		want  bool
	}{
		{a, "key", b, "key", true}, {b, "key", a, "key", false},
		{a, "mfa", b, "mfa", false}, {a, "mfa", b, "phishing_resistant", true}, {b, "phishing_resistant", a, "mfa", false},
		{a, "key", b, "phishing_resistant", false}, {a, "quick", b, "once", true}, {b, "once", a, "quick", true},
		{ever, "pay", each, "pay", true}, {each, "pay", ever, "pay", false}, // without once it is asked less often, and by nothing else
		{each, "sign", ever, "sign", true}, {ever, "sign", each, "sign", true}, {each, "pay", ever, "mfa", true},
	} {
		if got := tt.p.WeakerThan(set(tt.p, tt.level), tt.q, set(tt.q, tt.than)); got != tt.want {
			t.Errorf("%s weaker than the other's %s: %v, want %v", tt.level, tt.than, got, tt.want)
		}
	}
}

func TestMetByCountsProofsJustMade(t *testing.T) {
	p := policyOf(t, "level quick { accept totp; max_age 5m }")
	if got := strings.Join(p.MetNames(p.MetBy([]Factor{TOTP})), " "); got != "signed_in mfa quick" {
		t.Errorf("one code meets %q", got)
	}
}

func rooted(path string) string {
	if path == "" {
		return "/"
	}
	return path
}
