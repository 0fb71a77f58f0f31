package sqldb

import (
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/keys"
	"github.com/stepgate/stepgate/internal/store/storetest"
)

// scaleStore opens the store of STEPGATE_BENCH_STORE, or a new one, and again
// after close.
func scaleStore(b *testing.B) (open func() *DB, ring *keys.Ring) {
	b.Helper()
	dir := os.Getenv("STEPGATE_BENCH_STORE")
	if dir == "" {
		return newStore(b)
	}
	ring = keptRing(b, filepath.Join(dir, "stepgate.key"))
	if dsn := os.Getenv("STEPGATE_TEST_POSTGRES"); dsn != "" {
		onServer(b, dsn, "CREATE SCHEMA IF NOT EXISTS stepgate_bench")
		dsn = inSchema(dsn, "stepgate_bench")
		return func() *DB { return openSchema(b, dsn, ring) }, ring
	}
	return func() *DB { return openFile(b, filepath.Join(dir, "stepgate.db"), ring) }, ring
}

func newStore(b *testing.B) (open func() *DB, ring *keys.Ring) {
	b.Helper()
	ring = storetest.NewRing(b)
	if os.Getenv("STEPGATE_TEST_POSTGRES") != "" {
		dsn := freshSchema(b)
		return func() *DB { return openSchema(b, dsn, ring) }, ring
	}
	path := filepath.Join(b.TempDir(), "stepgate.db")
	return func() *DB { return openFile(b, path, ring) }, ring
}

func keptRing(b *testing.B, path string) *keys.Ring {
	b.Helper()
	ring, err := keys.Load(path)
	if errors.Is(err, fs.ErrNotExist) {
		ring, err = keys.Create(path, storetest.Noon)
	}
	if err != nil {
		b.Fatal(err)
	}
	return ring
}

// held is how many rows a table has.
func held(b *testing.B, db *DB, table string) int {
	b.Helper()
	n, err := one(b.Context(), db.q, sql.ErrNoRows, value[int], `SELECT count(*) FROM `+table)
	if err != nil {
		b.Fatal(err)
	}
	return n
}

// withoutIndexes does what fills tables, and makes their indexes afterwards:
// one by one a row that is somewhere in each costs a page of each.
func withoutIndexes(b testing.TB, db *DB, tables []string, fill func()) {
	b.Helper()
	query := `SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND tbl_name = $1`
	if os.Getenv("STEPGATE_TEST_POSTGRES") != "" {
		query = `SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = current_schema() AND tablename = $1
			AND NOT EXISTS (SELECT 1 FROM pg_constraint WHERE conname = indexname AND connamespace = current_schema()::regnamespace)`
	}
	var names, made []string
	for _, table := range tables {
		if err := db.q.each(b.Context(), func(rows row) error {
			var name, text string
			err := rows.Scan(&name, &text)
			names, made = append(names, "DROP INDEX "+name), append(made, text)
			return err
		}, query, table); err != nil {
			b.Fatal(err)
		}
	}
	do := func(statements ...string) {
		b.Helper()
		if err := db.write(b.Context(), func(t *tx) error {
			for _, statement := range statements {
				if _, err := t.q.exec(b.Context(), statement); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			b.Fatal(err)
		}
	}
	do(names...)
	fill()
	for _, text := range made {
		do(text)
	}
	analyse(b, db)
}

// analyse lets PostgreSQL know what it has; a store that has grown day by day
// has been looked at long since.
func analyse(b testing.TB, db *DB) {
	b.Helper()
	if os.Getenv("STEPGATE_TEST_POSTGRES") == "" {
		return
	}
	if err := db.write(b.Context(), func(t *tx) error {
		_, err := t.q.exec(b.Context(), `ANALYZE`)
		return err
	}); err != nil {
		b.Fatal(err)
	}
}

// fillTown keeps n accounts with names as a town has them: few that are
// common, many that are rare.
func fillTown(b testing.TB, db *DB, n int) {
	b.Helper()
	if err := db.write(b.Context(), func(t *tx) error {
		return t.InsertOrganisation(b.Context(), account.Organisation{Name: "village", CreatedAt: storetest.Noon})
	}); err != nil {
		b.Fatal(err)
	}
	withoutIndexes(b, db, []string{"account", "account_word"}, func() {
		const batch = 20_000
		for from := 0; from < n; from += batch {
			fillStreet(b, db, from, min(from+batch, n))
		}
	})
}

// fillStreet keeps some of the accounts.
func fillStreet(b testing.TB, db *DB, from, to int) {
	b.Helper()
	accounts := &manyRows{table: "account", columns: "id, source, subject, username, username_folded, full_name, name_folded, email, email_folded, mobile, member_of, organisation, role, two_factor, suspended_at, created_at, version, name_parts"}
	var places []foundAt
	for i := from; i < to; i++ {
		a := townsman(i)
		accounts.add(string(a.ID), a.Source, a.Subject, a.Username, account.FoldUsername(a.Username), a.Name, account.FoldUsername(a.Name), a.Email,
			account.FoldUsername(a.Email), "", asJSON(&a.Groups), a.Organisation, string(a.Role), false, instant{}, instant(a.CreatedAt), int64(1), asJSON(&a.Parts))
		places = append(places, placesOf(a)...)
	}
	if err := db.write(b.Context(), func(t *tx) error {
		return errors.Join(accounts.later(b.Context(), t.q), insertWords(b.Context(), t.q, places))
	}); err != nil {
		b.Fatal(err)
	}
}

// fillTrail keeps a trail of n events, one a second.
func fillTrail(b testing.TB, db *DB, chain *audit.Chain, n int) {
	b.Helper()
	var last audit.Link
	const batch = 20_000
	withoutIndexes(b, db, []string{"audit_event"}, func() {
		for from := 0; from < n; from += batch {
			err := db.write(b.Context(), func(t *tx) error {
				rows := &manyRows{table: "audit_event", columns: "seq, at, name, reference, account, actor, organisation, body, hash"}
				for i := from; i < min(from+batch, n); i++ {
					record, err := chain.Seal(last, trailEvent(i))
					if err != nil {
						return err
					}
					last = record.Link()
					r := record.Row()
					rows.add(r.Seq, instant(r.At), string(r.Name), r.Reference, r.Account, r.Actor, r.Organisation, r.Body, r.Hash)
				}
				return rows.later(b.Context(), t.q)
			})
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}

// trailEvent is one of a trail as a portal leaves it.
func trailEvent(i int) audit.Event {
	e := audit.Event{
		At: storetest.Noon.Add(time.Duration(i) * time.Second), Name: audit.LoginSuccess, Account: "account " + strconv.Itoa(i*7919%50_000), Organisation: "default",
		Session: "session " + strconv.Itoa(i), Site: "https://portal.example.gov", Address: "192.0.2.7", Outcome: "success",
		UserAgent: "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36",
	}
	e.Actor = e.Account
	switch {
	case i%100_000 == 0:
		e.Name, e.Account, e.Actor = audit.KeyRotated, "", "operator"
	case i%100 == 0:
		e.Name, e.Outcome, e.Reference, e.Rule = audit.AccessDenied, "deny", fmt.Sprintf("REF%09d", i), "deny /debug/*"
	case i%10 == 0:
		e.Name = audit.LoginFail
	case i%3 == 0:
		e.Name, e.Factor = audit.ChallengePassed, "totp"
	}
	if i%50_021 == 0 {
		e.Organisation = "village"
	}
	return e
}
