package caddymodule

import (
	"bytes"
	"context"
	"os"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/kept"
	"github.com/stepgate/stepgate/internal/people"
)

func TestAKeptRequestOutlivesReloadsAndRestartsSealed(t *testing.T) {
	g := startGateway(t, keptSite, nil)
	b := g.visitor("joe")
	body := []byte("amount=12&to=somebody-who-is-not-to-be-found")
	const kind = "application/x-www-form-urlencoded"
	p := b.post("/payments?account=also-not-to-be-found", kind, body).at("/enrol/totp")
	g.reload(withOption(keptSite, "keep_requests 1MiB"), b)
	p = b.enrol(p).offered()
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"stepgate.db", "stepgate.db-wal"} {
		content, _ := os.ReadFile(g.dir + "/" + name)
		if bytes.Contains(content, []byte("not-to-be-found")) {
			t.Errorf("%s has what was typed in the clear", name)
		}
	}
	g.reload(withOption(keptSite, "keep_requests off"), b)
	b.submit(p, kept.Field, nil).want(200, "/payments?account=also-not-to-be-found")
	g.gotOnce("POST /payments?account=also-not-to-be-found", kind, body)
}

func TestSuspensionAndResetsEndKeptRequests(t *testing.T) {
	g := startGateway(t, keptSite, nil)
	b := g.visitor("joe")
	who := people.Who{Username: "joe"}
	p := b.enrol(b.post("/payments", "text/plain", []byte("hello"))).offered()
	if _, err := active.Load().people.Suspend(t.Context(), people.Operator(), who, "test"); err != nil {
		t.Fatal(err)
	}
	b.submit(p, kept.Field, nil).says(410, "Nothing was sent")
	waitFor(t, func() bool { return b.get("/", fetch).status == 401 })
	g.got()
	if _, err := active.Load().people.Resume(t.Context(), people.Operator(), who, "test"); err != nil {
		t.Fatal(err)
	}
	// The session that a suspension ended has nothing kept afterwards either.
	b.confirm(b.signIn(b.post("/payments", "text/plain", []byte("hello")).at("/sign-in"), "joe")).says(200, "Nothing was sent")
	if all := g.got(); len(all) != 0 {
		t.Errorf("the upstream got %s", all[0].Line)
	}
}

func TestKeptAndContinuedRequestsAreInTheTrail(t *testing.T) {
	g := startGateway(t, keptSite, nil)
	b := g.visitor("joe")
	b.submit(b.enrol(b.post("/payments", "text/plain", []byte("hello"))).offered(), kept.Field, nil).want(200, "/payments")
	counts := map[audit.Name]int{}
	records, err := active.Load().store.Events(context.Background(), audit.Query{})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		counts[r.Name]++
	}
	if counts[audit.RequestKept] != 1 || counts[audit.RequestContinued] != 1 {
		t.Errorf("of a request that was kept and continued: %d and %d", counts[audit.RequestKept], counts[audit.RequestContinued])
	}
}
