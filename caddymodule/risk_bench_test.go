package caddymodule

import (
	"net/http/httptest"
	"strings"
	"testing"
)

// BenchmarkAllowWithRisk is BenchmarkAllow where the policy asks for risk and
// where it does not, in turn: what it costs is what the two differ by.
func BenchmarkAllowWithRisk(b *testing.B) {
	for _, c := range []struct{ name, raise string }{{"without", ""}, {"with", "raise phishing_resistant when risk high\n"}} {
		b.Run(c.name, func(b *testing.B) {
			site := strings.Replace(manyRules(10), "\t\t\tpublic ", "\t\t\t"+c.raise+"\t\t\tpublic ", 1)
			g := startGateway(b, site, nil)
			header := g.signedInHeader()
			r := httptest.NewRequest("GET", "/cases/1?page=2", nil)
			r.Host = strings.TrimPrefix(g.url, "http://")
			request, h := serverRequest(r), gateOnly(g.t)
			b.ReportAllocs()
			for b.Loop() {
				allow(b, h, request, header)
			}
		})
	}
}
