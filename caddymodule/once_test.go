package caddymodule

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
)

const onceSite = `{{site}} {
	stepgate {
		policy {
			level approve {
				accept totp
				once
			}
			require signed_in /*
			require approve POST /payments
			require approve GET /payments/approve
		}
	}
	reverse_proxy {{upstream}}
}
`

func TestOneProofOpensOneRequest(t *testing.T) {
	g := startGateway(t, onceSite, nil)
	g.addUser("joe")
	b := g.browser()
	b.signIn(b.get("/"), "joe").want(200, "/")
	const target = "/payments/approve?id=1"
	b.enrol(b.get(target)).want(200, target)
	g.last()
	if p := b.get(target).at("/challenge/totp"); g.last() != nil {
		t.Errorf("one proof opened two requests: %s", p.url)
	}
	b.submit(b.get("/payments/approve?id=2"), "code", map[string]string{"code": b.code()}).want(200, "/payments/approve?id=2")
	b.get(target).at("/challenge/totp")
	b.get("/").want(200, "/")
}

func TestAProofForARequestIsBoundToItsBodyAndSpentOnceInARace(t *testing.T) {
	g := startGateway(t, strings.Replace(onceSite, "policy {", "keep_requests off\n\t\tpolicy {", 1), nil)
	g.addUser("joe")
	b := g.browser()
	b.signIn(b.get("/"), "joe").want(200, "/")
	pay := url.Values{"amount": {"12"}, "to": {"ann"}}
	p := b.enrol(b.do("POST", "/payments", pay).atEnrolment())
	if !strings.Contains(p.body, "Nothing was sent") {
		t.Fatalf("at %s:\n%s", p.url, p.body)
	}
	g.last()
	if p := b.do("POST", "/payments", url.Values{"amount": {"1200"}, "to": {"eve"}}); p.url.Path == "/payments" {
		t.Error("a proof for one body opened another")
	}
	var group sync.WaitGroup
	for range 10 {
		group.Go(func() { b.do("POST", "/payments", pay) })
	}
	group.Wait()
	reached := 0
	for len(g.seen) > 0 {
		if got := <-g.seen; got.Line == "POST /payments" {
			reached++
		}
	}
	if reached != 1 {
		t.Errorf("the upstream got it %d times", reached)
	}
}

func TestAProofForARequestIsBoundToAllThatWasJudged(t *testing.T) {
	g := startGateway(t, strings.Replace(onceSite, "policy {", "keep_requests off\n\t\tpolicy {", 1), nil)
	g.addUser("joe")
	b := g.browser()
	b.signIn(b.get("/"), "joe").want(200, "/")
	pay := url.Values{"amount": {"12"}}
	b.enrol(b.do("POST", "/payments", pay).atEnrolment())
	for name, change := range map[string]func(*http.Request){
		"a claimed method":      func(r *http.Request) { r.Header.Set("X-HTTP-Method-Override", "DELETE") },
		"another claimed one":   func(r *http.Request) { r.Header.Set("X-Method-Override", "PUT") },
		"a second content type": func(r *http.Request) { r.Header.Add("Content-Type", "text/plain") },
		"a content encoding":    func(r *http.Request) { r.Header.Set("Content-Encoding", "identity") },
	} {
		g.last()
		b.do("POST", "/payments", pay, change)
		if got := g.last(); got != nil && strings.HasPrefix(got.Line, "POST /payments") {
			t.Errorf("%s: a proof for another request opened this one", name)
		}
	}
	g.last()
	b.do("POST", "/payments", pay)
	if got := g.last(); got == nil || got.Line != "POST /payments" {
		t.Error("the request that the proof was made for does not pass")
	}
}
