package admin

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/pagetest"
	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/internal/store"
	"github.com/stepgate/stepgate/policy"
)

// BenchmarkPages serves the administrators' pages of a store that has much in
// it: the one in the folder of STEPGATE_BENCH_STORE, which the benchmarks of
// internal/store/sqldb fill, or a small one. STEPGATE_TEST_POSTGRES is the
// database where that store is in one.
func BenchmarkPages(b *testing.B) {
	k := benchRig(b)
	owner, err := k.People.AddAccount(b.Context(), people.Operator(), people.NewAccount{Username: "owner-" + string(account.NewID()), Role: account.RoleOwner})
	if err != nil {
		b.Fatal(err)
	}
	at := k.browser(owner.Account, policy.Password, policy.TOTP)
	shown := benchPeople(b, k)
	typed := []string{"j", "jo", "joh", "john", "john s", "john smith", "smith jo", "user1", "user1 example", "example smith", "zoe99 jean", "nobody"}
	middle := benchMiddle(b, k)
	for _, page := range []struct {
		name string
		path func(i int) string
	}{
		{"all people", func(int) string { return "/" }},
		{"people as one types", func(i int) string { return "/?q=" + url.QueryEscape(typed[i%len(typed)]) }},
		{"person", func(i int) string { return "/person/" + shown[i%len(shown)] }},
		{"trail", func(int) string { return "/trail" }},
		{"trail of a person", func(i int) string { return "/trail?account=" + shown[i%len(shown)] }},
		{"trail of an account of many events", func(i int) string { return "/trail?account=" + url.QueryEscape("account "+strconv.Itoa(i)) }},
		{"trail of a common event", func(int) string { return "/trail?event=" + string(audit.LoginSuccess) }},
		{"trail of a rare event", func(int) string { return "/trail?event=" + string(audit.KeyRotated) }},
		{"trail of a rare event in an organisation", func(int) string { return "/trail?event=" + string(audit.KeyRotated) + "&organisation=default" }},
		{"trail of a day", func(int) string {
			return "/trail?since=" + middle.Format(time.DateOnly) + "&until=" + middle.Format(time.DateOnly)
		}},
		{"trail of an event and a day", func(int) string {
			return "/trail?event=" + string(audit.AccessDenied) + "&since=" + middle.Format(time.DateOnly) + "&until=" + middle.Format(time.DateOnly)
		}},
	} {
		b.Run(page.name, func(b *testing.B) {
			took := make([]time.Duration, 0, b.N)
			for i := 0; b.Loop(); i++ {
				r := at.Request(http.MethodGet, "/.stepgate/admin"+page.path(i), nil)
				w := httptest.NewRecorder()
				begun := time.Now()
				k.pages.ServeHTTP(w, r)
				took = append(took, time.Since(begun))
				if w.Code != http.StatusOK {
					b.Fatalf("%s: %d", r.URL, w.Code)
				}
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
		})
	}
}

// benchRig is the pages over the store that is named, or over a new one.
func benchRig(b *testing.B) *rig {
	dir, dsn := os.Getenv("STEPGATE_BENCH_STORE"), os.Getenv("STEPGATE_TEST_POSTGRES")
	if dir == "" {
		dir, dsn = b.TempDir(), ""
	}
	return rigOver(b, pagetest.Over(b, dir, dsn, rigOrigin))
}

// benchPeople are some accounts that hold several credentials and have done
// several things lately.
func benchPeople(b *testing.B, k *rig) []string {
	b.Helper()
	var table strings.Builder
	table.WriteString("username,name,email,mobile\n")
	round := string(account.NewID())[:8]
	const n = 200
	for i := range n {
		fmt.Fprintf(&table, "bench-%s-%d,Ann Other%d,bench-%s-%d@example.org,07700900%03d\n", round, i, i, round, i, i%1000)
	}
	if _, err := k.People.Import(b.Context(), people.Operator(), people.Table{CSV: []byte(table.String())}); err != nil {
		b.Fatal(err)
	}
	found, err := k.People.List(b.Context(), people.Operator(), account.Filter{Query: "bench " + account.FoldUsername(round), Limit: n})
	if err != nil || len(found) == 0 {
		b.Fatal(len(found), err)
	}
	var ids []string
	for _, a := range found {
		ids = append(ids, string(a.ID))
		k.holds(a.ID, "webauthn", "totp", "sms")
		if err := k.db.Update(b.Context(), func(tx store.Tx) error {
			for i := range 3 * recentLimit {
				e := audit.Event{At: k.clock().Add(time.Duration(i) * time.Second), Name: telling[i%len(telling)], Account: string(a.ID), Organisation: a.Organisation, Outcome: "success", Address: "192.0.2.7"}
				if _, err := tx.AppendEvent(b.Context(), e); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			b.Fatal(err)
		}
	}
	rand.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	return ids
}

// benchMiddle is the time of the event in the middle of the trail.
func benchMiddle(b *testing.B, k *rig) time.Time {
	b.Helper()
	newest, err := k.db.Events(b.Context(), audit.Query{Limit: 1})
	if err != nil {
		b.Fatal(err)
	}
	middle, err := k.db.Events(b.Context(), audit.Query{Before: newest[0].Seq/2 + 1, Limit: 1})
	if err != nil {
		b.Fatal(err)
	}
	return middle[0].At
}
