package policy

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/stepgate/stepgate/policy/target"
)

var (
	genLevelName = rapid.SampledFrom([]string{"signed_in", "mfa", "phishing_resistant", "a", "b"})
	genCondition = rapid.Custom(func(t *rapid.T) ConditionConfig {
		c := rapid.SampledFrom([]ConditionConfig{
			{Kind: "device", Args: []string{"unknown"}},
			{Kind: "risk", Args: []string{"medium"}},
			{Kind: "method", Args: []string{"POST"}},
			{Kind: "form", Args: []string{"x", "1*"}},
			{Kind: "group", Args: []string{"staff"}},
			{Kind: "client_ip", Args: []string{"office"}},
		}).Draw(t, "condition")
		c.Not = rapid.Bool().Draw(t, "not")
		return c
	})
	genRaise = rapid.Custom(func(t *rapid.T) RaiseConfig {
		return RaiseConfig{Level: genLevelName.Draw(t, "level"), Conditions: rapid.SliceOfN(genCondition, 1, 2).Draw(t, "conditions")}
	})
	genFullRule = rapid.Custom(func(t *rapid.T) RuleConfig {
		c := genRule.Draw(t, "rule").config()
		if c.Verb == VerbRequire {
			c.Levels = []string{genLevelName.Draw(t, "level")}
			c.Raises = rapid.SliceOfN(genRaise, 0, 1).Draw(t, "raises")
			c.Groups = rapid.SliceOfN(rapid.SampledFrom([]string{"staff", "admins"}), 0, 1).Draw(t, "groups")
		}
		if c.Verb != VerbPublic && rapid.IntRange(0, 3).Draw(t, "queried") == 0 {
			c.Patterns[0] += rapid.SampledFrom([]string{"?x=1", "?x=*", "?x=1&y=2", "?_method=*"}).Draw(t, "query")
		}
		return c
	})
	genConfig = rapid.Custom(func(t *rapid.T) *Config {
		return &Config{
			Levels: []LevelConfig{{Name: "a", Accept: [][]Factor{{TOTP}}}, {Name: "b", Accept: [][]Factor{{SMS}}}},
			Rules:  rapid.SliceOfN(genFullRule, 0, 8).Draw(t, "rules"),
			Raises: rapid.SliceOfN(genRaise, 0, 2).Draw(t, "raises"),
		}
	})
	genTarget = rapid.Custom(func(t *rapid.T) string {
		segment := rapid.SampledFrom([]string{"a", "b", "ab", "A", "%61", "a;b", "a%2fb", "b.php", "c", "a.", ""})
		raw := ""
		for _, s := range rapid.SliceOfN(segment, 1, 4).Draw(t, "segments") {
			raw += "/" + s
		}
		return raw + rapid.SampledFrom([]string{"", "", "?x=1", "?x=2&y=2", "?_method=POST", "?x=1;y=2"}).Draw(t, "query")
	})
)

// genRequest draws facts; unreadable targets are drawn again.
func genRequest(t *rapid.T, tb testing.TB) *Request {
	reader, err := target.NewReader(target.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	r := &Request{
		Method: rapid.SampledFrom([]string{"GET", "HEAD", "POST", "DELETE", "post"}).Draw(t, "method"),
		Device: rapid.SampledFrom([]Device{"", DeviceUnknown, DevicePrivate}).Draw(t, "device"),
		Risk:   rapid.SampledFrom([]Risk{RiskUnset, RiskLow, RiskHigh}).Draw(t, "risk"),
		Now:    noon, Context: rapid.SampledFrom([]any{"office", "home", "broken"}).Draw(t, "context"),
		SignedIn: rapid.Bool().Draw(t, "signed in"),
		Groups:   rapid.SliceOfN(rapid.SampledFrom([]string{"staff", "admins"}), 0, 2).Draw(t, "groups"),
		Requires: rapid.SliceOfN(rapid.SampledFrom(BuiltInLevels()), 0, 1).Draw(t, "requires"),
	}
	for i := range rapid.IntRange(1, 2).Draw(t, "targets") {
		raw := genTarget.Filter(func(raw string) bool { _, err := reader.Read(raw); return err == nil }).Draw(t, "target")
		if rs := read(tb, raw); i == 0 {
			r.Target = rs
		} else {
			r.Also = append(r.Also, rs)
		}
	}
	if body := rapid.SampledFrom([]string{"", "x=1", "_method=delete", "UNREADABLE"}).Draw(t, "body"); body != "" {
		r.Form = formBody(body)
	}
	return r
}

// fresh is the same facts, with nothing remembered of another policy.
func fresh(r *Request) *Request {
	return &Request{
		Method: r.Method, Claimed: r.Claimed, Target: r.Target, Also: r.Also, Form: r.Form, SignedIn: r.SignedIn, Groups: r.Groups,
		Requires: r.Requires, Device: r.Device, Risk: r.Risk, Now: r.Now, Context: r.Context, Proofs: r.Proofs,
	}
}

func compileFor(t *rapid.T, c *Config) *Policy {
	p, err := Compile(c, testOptions)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// atLeast tells whether d asks for all that o asks for.
func atLeast(d, o Decision) bool {
	if d.Outcome == Deny && d.Reason == ReasonPathDenied {
		return true
	}
	return d.Needed.Has(o.Needed) && (!d.Public || o.Public) && d.Outcome <= o.Outcome
}

func TestWrittenOrderNeverMatters(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c, r := genConfig.Draw(rt, "config"), genRequest(rt, t)
		want := compileFor(rt, c).Decide(r)
		shuffle := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 0))
		shuffle.Shuffle(len(c.Rules), func(i, j int) { c.Rules[i], c.Rules[j] = c.Rules[j], c.Rules[i] })
		shuffle.Shuffle(len(c.Raises), func(i, j int) { c.Raises[i], c.Raises[j] = c.Raises[j], c.Raises[i] })
		slices.Reverse(c.Levels)
		got := compileFor(rt, c).Decide(fresh(r))
		want.Rule, got.Rule = nil, nil
		if got != want {
			rt.Fatalf("%+v, in another order %+v", want, got)
		}
	})
}

func TestRaisesNeverLower(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c, r := genConfig.Draw(rt, "config"), genRequest(rt, t)
		before := compileFor(rt, c).Decide(r)
		c.Raises = append(c.Raises, genRaise.Draw(rt, "more"))
		if after := compileFor(rt, c).Decide(fresh(r)); !atLeast(after, before) || after.Public != before.Public {
			rt.Fatalf("%+v, with another raise %+v", before, after)
		}
	})
}

func TestQueryRulesNeverLower(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c, r := genConfig.Draw(rt, "config"), genRequest(rt, t)
		before := compileFor(rt, c).Decide(r)
		more := genFullRule.Filter(func(c RuleConfig) bool { return c.Verb != VerbPublic }).Draw(rt, "more")
		more.Patterns[0] += "?x=*"
		if p, err := ParsePattern(more.Patterns[0]); err != nil || !p.Queried() {
			return
		}
		c.Rules = append(c.Rules, more)
		if after := compileFor(rt, c).Decide(fresh(r)); !atLeast(after, before) {
			rt.Fatalf("%+v, with another query rule %+v", before, after)
		}
	})
}

func TestAnotherTargetNeverLowers(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p, r := compileFor(rt, genConfig.Draw(rt, "config")), genRequest(rt, t)
		alone := fresh(r)
		alone.Also = nil
		if all, one := p.Decide(r), p.Decide(alone); !atLeast(all, one) {
			rt.Fatalf("%+v, with another target %+v", one, all)
		}
	})
}

func TestExplainSaysWhatDecideSays(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p, r := compileFor(rt, genConfig.Draw(rt, "config")), genRequest(rt, t)
		want, got := p.Decide(r), p.Explain(fresh(r))
		if diff := cmp.Diff(want, got.Decision, cmp.Comparer(func(a, b *Rule) bool { return a == b })); diff != "" {
			rt.Fatalf("decision (-decide +explain):\n%s", diff)
		}
	})
}

func TestSeveralPoliciesJudgeOneRequest(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		first, second := compileFor(rt, genConfig.Draw(rt, "first")), compileFor(rt, genConfig.Draw(rt, "second"))
		r := genRequest(rt, t)
		first.Decide(r)
		if got, want := second.Decide(r), second.Decide(fresh(r)); got != want {
			rt.Fatalf("%+v after another policy, %+v alone", got, want)
		}
	})
}
