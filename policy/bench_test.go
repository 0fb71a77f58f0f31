package policy

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stepgate/stepgate/policy/target"
)

// literalRules is n rules with literal paths of three segments.
func literalRules(n int) *Config {
	c := &Config{}
	for i := range n {
		c.Rules = append(c.Rules, RuleConfig{
			Verb: VerbRequire, Levels: []string{LevelMFA}, Patterns: []string{fmt.Sprintf("/area%d/part%d/page%d.do", i%10, i/10%100, i)},
		})
	}
	return c
}

func benchPolicy(b *testing.B, c *Config) *Policy {
	b.Helper()
	p, err := Compile(c, CompileOptions{})
	if err != nil {
		b.Fatal(err)
	}
	return p
}

func benchTarget(b *testing.B, raw string) *target.Readings {
	b.Helper()
	reader, err := target.NewReader(target.Options{})
	if err != nil {
		b.Fatal(err)
	}
	rs, err := reader.Read(raw)
	if err != nil {
		b.Fatal(err)
	}
	return &rs
}

// signedIn is a request whose session's levels are known to the handler.
func signedIn(p *Policy, rs *target.Readings) *Request {
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	proofs := []Proof{{Factor: Password, At: now}, {Factor: TOTP, Credential: "a", At: now}}
	return &Request{Method: "GET", Target: rs, SignedIn: true, Met: p.Met(proofs, true, now), MetKnown: true, Now: now}
}

// BenchmarkDecide shows that the number of rules does not matter: on one
// path, and on paths all over the policy, where memory is what is measured.
func BenchmarkDecide(b *testing.B) {
	for _, n := range []int{10, 1_000, 100_000} {
		p := benchPolicy(b, literalRules(n))
		b.Run(fmt.Sprintf("rules=%d/path=one", n), func(b *testing.B) {
			r := signedIn(p, benchTarget(b, "/area7/part0/page7.do"))
			b.ReportAllocs()
			for b.Loop() {
				if p.Decide(r).Outcome != Allow {
					b.Fatal("not allowed")
				}
			}
		})
		b.Run(fmt.Sprintf("rules=%d/path=any", n), func(b *testing.B) {
			requests := make([]*Request, 4096)
			for i := range requests {
				k := rand.IntN(n)
				requests[i] = signedIn(p, benchTarget(b, fmt.Sprintf("/area%d/part%d/page%d.do", k%10, k/10%100, k)))
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				p.Decide(requests[i&4095])
				i++
			}
		})
	}
}

// BenchmarkDecideFlat has all rules as siblings, the worst case for memory.
func BenchmarkDecideFlat(b *testing.B) {
	for _, n := range []int{10, 100_000} {
		c := &Config{}
		for i := range n {
			c.Rules = append(c.Rules, RuleConfig{Verb: VerbRequire, Levels: []string{LevelMFA}, Patterns: []string{fmt.Sprintf("/lit/page%06d", i)}})
		}
		p := benchPolicy(b, c)
		b.Run(fmt.Sprintf("rules=%d", n), func(b *testing.B) {
			r := signedIn(p, benchTarget(b, "/lit/page000007"))
			b.ReportAllocs()
			for b.Loop() {
				p.Decide(r)
			}
		})
	}
}

// BenchmarkDecideGlobs has all rules as globs of one segment.
func BenchmarkDecideGlobs(b *testing.B) {
	for _, n := range []int{10, 100_000} {
		c := &Config{}
		for i := range n {
			c.Rules = append(c.Rules, RuleConfig{Verb: VerbRequire, Levels: []string{LevelMFA}, Patterns: []string{fmt.Sprintf("/files/case%06d-*.pdf", i)}})
		}
		p := benchPolicy(b, c)
		b.Run(fmt.Sprintf("rules=%d", n), func(b *testing.B) {
			r := signedIn(p, benchTarget(b, "/files/case000007-letter.pdf"))
			b.ReportAllocs()
			for b.Loop() {
				p.Decide(r)
			}
		})
	}
}

// BenchmarkDecideUncached works the levels out on every request.
func BenchmarkDecideUncached(b *testing.B) {
	p := benchPolicy(b, literalRules(10))
	r := signedIn(p, benchTarget(b, "/area7/part0/page7.do"))
	r.MetKnown = false
	r.Proofs = []Proof{{Factor: Password, At: r.Now}, {Factor: TOTP, Credential: "a", At: r.Now}}
	b.ReportAllocs()
	for b.Loop() {
		p.Decide(r)
	}
}

// BenchmarkReadAndDecide is what a request asks of the policy: its target is
// read as well. Paths are one, or any of the policy's.
func BenchmarkReadAndDecide(b *testing.B) {
	for _, n := range []int{10, 100_000} {
		p := benchPolicy(b, literalRules(n))
		reader, err := target.NewReader(target.Options{})
		if err != nil {
			b.Fatal(err)
		}
		for _, paths := range []int{1, 1 << 16} {
			b.Run(fmt.Sprintf("rules=%d/paths=%d", n, paths), func(b *testing.B) {
				raw := make([]string, paths)
				for i := range raw {
					k := rand.IntN(n)
					raw[i] = fmt.Sprintf("/area%d/part%d/page%d.do", k%10, k/10%100, k)
				}
				r := signedIn(p, benchTarget(b, raw[0]))
				i := 0
				for b.Loop() {
					rs, err := reader.Read(raw[i&(paths-1)])
					if err != nil {
						b.Fatal(err)
					}
					one := *r
					one.Target = &rs
					if p.Decide(&one).Outcome != Allow {
						b.Fatal("not allowed")
					}
					i++
				}
			})
		}
	}
}
