package sqldb

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/store"
	"github.com/stepgate/stepgate/internal/store/storetest"
)

// TestListingsGoAlongAnIndex asks SQLite how it would answer: to read a table
// from its beginning, or to sort, costs more with every account there is.
func TestListingsGoAlongAnIndex(t *testing.T) {
	db := openFile(t, filepath.Join(t.TempDir(), "stepgate.db"), storetest.NewRing(t))
	for name, query := range map[string]string{
		"all": listAll, "organisation": listOrganisation, "role": listRole, "find": findAll, "find in an organisation": findOrganisation,
	} {
		var plan []string
		err := db.q.each(t.Context(), func(rows *sql.Rows) error {
			var id, parent, unused int
			var detail string
			err := rows.Scan(&id, &parent, &unused, &detail)
			plan = append(plan, detail)
			return err
		}, `EXPLAIN QUERY PLAN `+selectAccount+query, make([]any, strings.Count(query, "$"))[:highest(query)]...)
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range plan {
			if strings.HasPrefix(step, "SCAN") || strings.Contains(step, "TEMP B-TREE") || name != "find" && strings.Contains(step, "account_word USING PRIMARY KEY (word>") {
				t.Errorf("%s: %s", name, strings.Join(plan, "; "))
				break
			}
		}
	}
}

// highest is the number of placeholders of a query.
func highest(query string) (n int) {
	for _, p := range placeholder.FindAllString(query, -1) {
		at, _ := strconv.Atoi(p[1:])
		n = max(n, at)
	}
	return n
}

// BenchmarkFind finds accounts as one types, among 20,000 or as many as
// STEPGATE_BENCH_ACCOUNTS says; on PostgreSQL where STEPGATE_TEST_POSTGRES is
// set. It reports the slowest of the searches.
func BenchmarkFind(b *testing.B) {
	n := 20000
	if text := os.Getenv("STEPGATE_BENCH_ACCOUNTS"); text != "" {
		n, _ = strconv.Atoi(text)
	}
	db := openFile(b, filepath.Join(b.TempDir(), "stepgate.db"), storetest.NewRing(b))
	if os.Getenv("STEPGATE_TEST_POSTGRES") != "" {
		db = openSchema(b, freshSchema(b), storetest.NewRing(b))
	}
	fillTown(b, db, n)
	for _, f := range []account.Filter{
		{Query: "j"}, {Query: "z"}, {Query: "example"}, {Query: "john"}, {Query: "john smith"}, {Query: "smith john 9"},
		{Query: "user" + strconv.Itoa(n/2)}, {Query: "nobody"}, {Query: "example john"}, {Query: "j", Organisation: "village"},
		{Query: "smith", Organisation: "default"}, {Query: "j", Role: account.RoleAdmin}, {}, {Organisation: "village"}, {Role: account.RoleAdmin},
	} {
		f.Limit = 50
		b.Run(fmt.Sprintf("%q in %q role %q", f.Query, f.Organisation, f.Role), func(b *testing.B) {
			var slowest time.Duration
			for b.Loop() {
				begun := time.Now()
				if _, err := db.Accounts(b.Context(), f); err != nil {
					b.Fatal(err)
				}
				slowest = max(slowest, time.Since(begun))
			}
			b.ReportMetric(float64(slowest.Microseconds())/1000, "slowest-ms")
		})
	}
}

// fillTown keeps n accounts with names as a town has them: few that are
// common, many that are rare.
func fillTown(b *testing.B, db *DB, n int) {
	b.Helper()
	const batch = 5000
	for from := 0; from < n; from += batch {
		err := db.Update(b.Context(), func(tx store.Tx) error {
			if from == 0 {
				if err := tx.InsertOrganisation(context.Background(), account.Organisation{Name: "village", CreatedAt: storetest.Noon}); err != nil {
					return err
				}
			}
			for i := from; i < min(from+batch, n); i++ {
				if err := tx.InsertAccount(context.Background(), townsman(i)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

// townsman is one of them. One in 40 is called John, and one in 90 Smith, as
// in the towns of one country.
func townsman(i int) account.Account {
	a := account.Account{
		ID: account.NewID(), Source: account.LocalSource, Username: "user" + strconv.Itoa(i), Organisation: account.DefaultOrganisation,
		Role: account.RoleUser, CreatedAt: storetest.Noon,
	}
	first, last := fmt.Sprintf("%cean%d", 'a'+i%26, i%1999), fmt.Sprintf("%coe%d", 'z'-i/3%26, i%9973)
	if i%40 == 0 {
		first = "John"
	}
	if i%90 < 2 && i%90 > 0 {
		last = "Smith"
	}
	if i%3600 == 0 {
		first, last = "John", "Smith"
	}
	a.Subject, a.Name, a.Email = string(a.ID), first+" "+last, a.Username+"@example.org"
	if i%5003 == 0 {
		a.Organisation, a.Role = "village", account.RoleAdmin
	}
	return a
}

// TestEveryFillHasItsStep: a renamed migration must not leave its part in Go
// behind.
func TestEveryFillHasItsStep(t *testing.T) {
	for name := range fills {
		for _, dialect := range []string{"sqlite", "postgres"} {
			if _, err := fs.Stat(steps(dialect), name); err != nil {
				t.Error(err)
			}
		}
	}
}
