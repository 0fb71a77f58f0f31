package sqldb

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/internal/store"
	"github.com/stepgate/stepgate/internal/store/storetest"
)

// What a large store costs. The sizes are those of STEPGATE_BENCH_ACCOUNTS and
// STEPGATE_BENCH_EVENTS, and small without them; the store is PostgreSQL where
// STEPGATE_TEST_POSTGRES is set:
//
//	STEPGATE_BENCH_ACCOUNTS=1000000 go test ./internal/store/sqldb -run - -bench People -benchtime 300x -timeout 2h
//	STEPGATE_BENCH_EVENTS=10000000 scripts/with-postgres go test ./internal/store/sqldb -run - -bench Trail -benchtime 300x -timeout 4h
//
// Filling a store takes longer than measuring it. The store stays in the folder
// of STEPGATE_BENCH_STORE, and where it is full already it is only measured;
// -bench People/fill only fills it. On PostgreSQL the folder has the key and the
// database the store.

func benchSize(b *testing.B, variable string, otherwise int) int {
	b.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		b.Fatal(err)
	}
	return n
}

// timed calls do b.N times and reports the median and the 99th percentile.
func timed(b *testing.B, name string, do func(i int) error) {
	b.Run(name, func(b *testing.B) {
		took := make([]time.Duration, 0, b.N)
		for i := 0; b.Loop(); i++ {
			begun := time.Now()
			if err := do(i); err != nil {
				b.Fatal(err)
			}
			took = append(took, time.Since(begun))
		}
		slices.Sort(took)
		for p, at := range map[string]int{"p50-ms": len(took) / 2, "p99-ms": len(took) * 99 / 100} {
			b.ReportMetric(float64(took[at].Microseconds())/1000, p)
		}
	})
}

// lentTo is the store as package people wants it.
type lentTo struct{ *DB }

func (l lentTo) Update(ctx context.Context, change func(people.Tx) error) error {
	return l.DB.Update(ctx, func(tx store.Tx) error { return change(tx) })
}

func (l lentTo) UpdateAtLength(ctx context.Context, long, end func(people.Tx) error) error {
	return l.DB.UpdateAtLength(ctx, func(tx store.Tx) error { return long(tx) }, func(tx store.Tx) error { return end(tx) })
}

// BenchmarkPeople finds people as one types, opens their pages, imports more of
// them and opens the store again.
func BenchmarkPeople(b *testing.B) {
	n := benchSize(b, "STEPGATE_BENCH_ACCOUNTS", 20_000)
	open, _ := scaleStore(b)
	db := open()
	b.Run("fill", func(b *testing.B) {
		if held(b, db, "account") < n {
			fillTown(b, db, n)
		}
	})
	ids, err := list(b.Context(), db.q, value[account.ID], `SELECT id FROM account`)
	if err != nil {
		b.Fatal(err)
	}
	find := func(f account.Filter) error {
		f.Limit = 51
		_, err := db.Accounts(b.Context(), f)
		return err
	}
	for _, f := range []account.Filter{
		{Query: "j"}, {Query: "z"}, {Query: "example"}, {Query: "john"}, {Query: "john smith"}, {Query: "smith john 9"}, {Query: "org smith user"},
		{Query: "user" + strconv.Itoa(n/2)}, {Query: "nobody"}, {Query: "example john"}, {Query: "j", Organisation: "village"},
		{Query: "smith", Organisation: "default"}, {Query: "j", Role: account.RoleAdmin}, {}, {Organisation: "village"}, {Role: account.RoleAdmin},
	} {
		timed(b, fmt.Sprintf("find %q in %q role %q", f.Query, f.Organisation, f.Role), func(int) error { return find(f) })
	}
	// All that is asked for while somebody types who they look for.
	var typed []string
	for _, whole := range []string{"john smith", "smith jo", "user" + strconv.Itoa(n/3) + "@example.org", "aean1", "zoe99 jean"} {
		for end := range whole {
			typed = append(typed, whole[:end+1])
		}
	}
	timed(b, "find as one types", func(i int) error { return find(account.Filter{Query: account.FoldUsername(typed[i%len(typed)])}) })

	p := &people.People{Store: lentTo{db}, Region: "GB", Now: time.Now}
	timed(b, "account page", func(int) error { return accountPage(b.Context(), p, db, ids[rand.IntN(len(ids))]) })

	b.Run("record while 10,000 are imported", func(b *testing.B) {
		commitWhile(b, oneEvent(b, db), func() error {
			made, err := p.Import(b.Context(), people.Operator(), people.Table{CSV: importTable(rand.Int())})
			if err == nil && made.Accounts != 10_000 {
				err = fmt.Errorf("imported %d", made.Accounts)
			}
			return err
		})
	})
	db.Close()
	timed(b, "open", func(int) error { return open().Close() })
	few, _ := newStore(b)
	fillTown(b, few(), 10)
	timed(b, "open with ten accounts", func(int) error { return few().Close() })
}

// oneEvent keeps an event, as a sign-in does.
func oneEvent(b *testing.B, db *DB) func() error {
	return func() error {
		_, err := db.AppendEvent(b.Context(), audit.Event{Name: audit.LoginSuccess, Account: "jo", Outcome: "success"})
		return err
	}
}

// accountPage reads what an administrator's page of an account reads.
func accountPage(ctx context.Context, p *people.People, db *DB, id account.ID) error {
	record, err := p.Show(ctx, people.Operator(), people.Who{ID: id})
	if err != nil {
		return err
	}
	if _, err := p.Requires(ctx, record.Account); err != nil {
		return err
	}
	_, err = db.Events(ctx, audit.Query{
		Account: string(id), Names: []audit.Name{audit.LoginSuccess, audit.LoginFail, audit.ChallengePassed, audit.FactorEnrolled}, Limit: 12,
	})
	return err
}

func importTable(round int) []byte {
	var table strings.Builder
	table.WriteString("username,name,email,mobile\n")
	for i := range 10_000 {
		fmt.Fprintf(&table, "import%d-%d,Ann Other%d,import%d-%d@example.org,07700900%03d\n", round, i, i, round, i, i%1000)
	}
	return []byte(table.String())
}

// BenchmarkTrail verifies a long trail and reads pages of it.
func BenchmarkTrail(b *testing.B) {
	n := benchSize(b, "STEPGATE_BENCH_EVENTS", 100_000)
	open, ring := scaleStore(b)
	db := open()
	b.Run("fill", func(b *testing.B) {
		if held(b, db, "audit_event") < n {
			fillTrail(b, db, audit.NewChain(ring), n)
		}
	})
	b.Run("verify", func(b *testing.B) {
		for range min(b.N, 1) {
			stop, peak := heapPeak()
			begun := time.Now()
			result, err := audit.NewChain(ring).Verify(audit.Walk(b.Context(), db, 0), audit.Expectation{})
			took := time.Since(begun)
			stop()
			if err != nil || result.Break != nil || result.Records != int64(n) {
				b.Fatal(result, err)
			}
			b.ReportMetric(float64(n)/took.Seconds(), "events/s")
			b.ReportMetric(float64(<-peak)/(1<<20), "peak-heap-MiB")
		}
	})
	middle := storetest.Noon.Add(time.Duration(n/2) * time.Second)
	for name, q := range map[string]audit.Query{
		"newest":                           {},
		"deep":                             {Before: int64(n / 2)},
		"account":                          {Account: "account 7"},
		"actor":                            {Actor: "account 7"},
		"common name":                      {Names: []audit.Name{audit.LoginSuccess}},
		"rare name":                        {Names: []audit.Name{audit.KeyRotated}},
		"name that never was":              {Names: []audit.Name{"name_that_never_was"}},
		"several names":                    {Names: []audit.Name{audit.LoginSuccess, audit.LoginFail, audit.KeyRotated}},
		"organisation":                     {Organisation: "default"},
		"rare organisation":                {Organisation: "village"},
		"since":                            {Since: middle},
		"until":                            {Until: middle},
		"a day":                            {Since: middle, Until: middle.Add(24 * time.Hour)},
		"a day long ago":                   {Since: middle.Add(-1000 * 24 * time.Hour), Until: middle.Add(-999 * 24 * time.Hour)},
		"name and organisation":            {Names: []audit.Name{audit.LoginFail}, Organisation: "village"},
		"rare name in an organisation":     {Names: []audit.Name{audit.KeyRotated}, Organisation: "default"},
		"rare name in a rare organisation": {Names: []audit.Name{audit.KeyRotated}, Organisation: "village"},
		"names and a day":                  {Names: []audit.Name{audit.KeyRotated, audit.AccessDenied}, Since: middle, Until: middle.Add(24 * time.Hour)},
		"account, name and organisation":   {Account: "account 7", Names: []audit.Name{audit.LoginFail}, Organisation: "default"},
	} {
		q.Limit = 51
		timed(b, "page of "+name, func(int) error {
			_, err := db.Events(b.Context(), q)
			return err
		})
	}
	timed(b, "reference", func(i int) error {
		_, err := db.EventByReference(b.Context(), fmt.Sprintf("REF%09d", 100+(i*7919)%min(n-100, 99_000)/100*100))
		return err
	})
}

// heapPeak samples the heap until stop, and then gives the most that was in use
// beyond what was at the beginning.
func heapPeak() (stop func(), peak chan uint64) {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	before := m.HeapAlloc
	done, peak := make(chan struct{}), make(chan uint64, 1)
	go func() {
		most := before
		for {
			select {
			case <-done:
				peak <- most - before
				return
			case <-time.After(50 * time.Millisecond):
				runtime.ReadMemStats(&m)
				most = max(most, m.HeapAlloc)
			}
		}
	}()
	return func() { close(done) }, peak
}
