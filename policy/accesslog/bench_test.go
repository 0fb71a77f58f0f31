package accesslog

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

// benchLog has lines of the combined format such as a portal's log has.
func benchLog(lines int) string {
	var b strings.Builder
	for i := range lines {
		fmt.Fprintf(&b, "192.0.2.%d - joe%d [02/Mar/2026:%02d:%02d:%02d +0000] \"GET /app%d/mod%d/page%d.do?id=%d HTTP/1.1\" 200 5316 \"https://portal.example/app%d\" \"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\"\n",
			i%250+1, i%2987, i*24/lines, i/60%60, i%60, i%997, i%10, i%41, i*7919%100_000, i%997)
	}
	return b.String()
}

// BenchmarkParse reads a log of the combined format, on one core: ns/op are
// those of a line.
func BenchmarkParse(b *testing.B) {
	const lines = 50_000
	log := benchLog(lines)
	b.SetBytes(int64(len(log) / lines))
	b.ReportAllocs()
	for n := 0; n < b.N; {
		var p Parser
		var e Entry
		err := Blocks(context.Background(), []Log{{"log", strings.NewReader(log)}}, func(block *Block) bool {
			p.Begin(block)
			for line := range strings.SplitSeq(block.Text, "\n") {
				p.Parse(line, &e)
				n++
			}
			return n < b.N
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "lines/s")
}
