package policy

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
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

// evenRules is n rules with literal paths of one length; evenPath is that of
// one of them.
func evenRules(n int) *Config {
	c := &Config{}
	for i := range n {
		c.Rules = append(c.Rules, RuleConfig{Verb: VerbRequire, Levels: []string{LevelMFA}, Patterns: []string{evenPath(i)}})
	}
	return c
}

func evenPath(i int) string { return fmt.Sprintf("/area%d/part%02d/page%06d.do", i%10, i/10%100, i) }

// BenchmarkReadAndDecide is what a request asks of the policy: its target is
// read as well. One path, and any of the policy's, take turns; what counts is
// the ratio. The targets stand in one text in the order in which they are asked
// for, so that only the policy is looked up all over the memory: a server has
// just read the target.
func BenchmarkReadAndDecide(b *testing.B) {
	const many, length = 1 << 12, len("/area0/part00/page000000.do")
	for _, n := range []int{10, 200, 100_000} {
		b.Run(fmt.Sprintf("rules=%d", n), func(b *testing.B) {
			p := benchPolicy(b, evenRules(n))
			reader, err := target.NewReader(target.Options{})
			if err != nil {
				b.Fatal(err)
			}
			r := signedIn(p, benchTarget(b, "/"))
			var one, any strings.Builder
			for range 1 << 16 {
				one.WriteString(evenPath(7))
				any.WriteString(evenPath(rand.IntN(n)))
			}
			var took [2][]time.Duration
			at := 0
			for b.Loop() {
				for which, text := range []string{one.String(), any.String()} {
					text = text[at*length:][:many*length]
					began := time.Now()
					for ; text != ""; text = text[length:] {
						rs, err := reader.Read(text[:length])
						if err != nil {
							b.Fatal(err)
						}
						r.Target = &rs
						if p.Decide(r).Outcome != Allow {
							b.Fatal("not allowed")
						}
					}
					took[which] = append(took[which], time.Since(began))
				}
				at = (at + many) % (1 << 16)
			}
			for i := range took {
				slices.Sort(took[i])
			}
			for name, of := range map[string]int{"×": 10, "×-median": 2} {
				b.ReportMetric(float64(took[1][len(took[1])/of])/float64(took[0][len(took[0])/of]), name)
			}
			b.ReportMetric(float64(took[0][len(took[0])/10].Nanoseconds())/many, "ns-one")
			b.ReportMetric(float64(took[1][len(took[1])/10].Nanoseconds())/many, "ns-any")
		})
	}
}
