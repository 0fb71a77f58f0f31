package author

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stepgate/stepgate/policy"
)

// portal writes a policy of n rules such as a large portal has, with some of
// them changed.
func portal(n, changes int) string {
	lines := make([]string, 0, n+1)
	for i := range n {
		path, level := fmt.Sprintf("/app%d/mod%d", i/10, i%10), []string{"signed_in", "mfa", "phishing_resistant"}[i%3]
		switch i % 10 {
		case 3:
			lines = append(lines, "require "+level+" POST "+path+"/*")
		case 5:
			lines = append(lines, "require "+level+" "+path+"/*.pdf")
		case 7:
			lines = append(lines, "public "+path+"/static/*")
		case 8:
			lines = append(lines, "require "+level+" "+path+"/do?action=del*")
		default:
			lines = append(lines, "require "+level+" "+path+"/*")
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range changes {
		i := random.IntN(n)
		lines[i] = fmt.Sprintf("require signed_in /app%d/mod%d/*", i/10, i%10)
	}
	return strings.Join(append(lines, "require phishing_resistant /*/admin/*", "raise mfa when risk high"), "\n")
}

func BenchmarkDiff(b *testing.B) {
	for _, n := range []int{10, 1000, 10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			was, is := siteOf(b, portal(n, 0)), siteOf(b, portal(n, max(1, n/1000)))
			b.ReportAllocs()
			for b.Loop() {
				if d, err := Diff(was, is, noon); err != nil || !d.Complete || len(d.Changes) == 0 {
					b.Fatal(err, d.Complete, len(d.Changes))
				}
			}
		})
	}
}

func BenchmarkLint(b *testing.B) {
	for _, n := range []int{10, 1000, 10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := siteOf(b, portal(n, 0))
			b.ReportAllocs()
			for b.Loop() {
				Lint(s, LintOptions{Offered: policy.Factors(), Now: noon})
			}
		})
	}
}
