package caddymodule

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// BenchmarkAllowWithRisk is BenchmarkAllow at two sites of one gateway, turn and
// turn about: one whose policy asks for risk, and one whose policy does not.
// What it costs is the ratio.
func BenchmarkAllowWithRisk(b *testing.B) {
	const many = 2000
	plain, other := manyRules(10), "http://"+freeAddress(b)
	scored := strings.Replace(plain, "\t\t\tpublic ", "\t\t\traise phishing_resistant when risk high\n\t\t\tpublic ", 1)
	g := startGateway(b, plain+strings.ReplaceAll(scored, "{{site}}", other), nil)
	joe := g.addUser("joe")
	first, second := g.browser(), g.browser()
	first.enrol(first.signIn(first.get("/cases/1"), "joe")).want(http.StatusOK, "/cases/1")
	second.base, second.secret, second.used = other, first.secret, first.used
	p := second.choose(second.signIn(second.get("/cases/1"), "joe"), "/challenge/totp")
	second.submit(p, "code", map[string]string{"code": second.code()}).want(http.StatusOK, "/cases/1")

	open, err := active.Load().store.SessionsOf(b.Context(), joe.ID, time.Now())
	if err != nil || len(open) != 2 {
		b.Fatalf("%d sessions, %v", len(open), err)
	}
	var pass [2]func()
	for which, who := range []*browser{first, second} {
		h, request := siteAt(b, who.base), httptest.NewRequest(http.MethodGet, "/cases/1?page=2", nil)
		request.Host = strings.TrimPrefix(who.base, "http://")
		request = serverRequest(request)
		// As in the session itself: nothing has changed around it.
		caddyhttp.SetVar(request.Context(), caddyhttp.ClientIPVarKey, open[0].Address)
		name := "stepgate-" + mustParse(who.base).Port()
		header := http.Header{"Cookie": {name + "=" + who.cookie(name)}, "User-Agent": {open[0].UserAgent}, "Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"document"}}
		pass[which] = func() { allow(b, h, request, header) }
	}
	var took turns
	for b.Loop() {
		took.measure(func(which int) {
			for range many {
				pass[which]()
			}
		})
	}
	took.report(b, many)
}
