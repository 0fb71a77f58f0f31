package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/store/storetest"
)

// TestFailedMigrationLeavesTheStepBefore stops in the middle of a step, and
// goes on when the step has been mended.
func TestFailedMigrationLeavesTheStepBefore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stepgate.db")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite3", sqliteDSN(path, url.Values{"_txlock": {"immediate"}}))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	files := fstest.MapFS{
		"0001_one.sql": {Data: []byte(`CREATE TABLE one (x INTEGER);`)},
		"0002_two.sql": {Data: []byte(`CREATE TABLE two (x INTEGER); INSERT INTO no_such VALUES (1);`)},
	}
	m := migrator{db: db, files: files, lock: func(context.Context, querier) error { return nil }}
	tables := func() (n int) {
		t.Helper()
		if err := db.QueryRow(`SELECT count(*) FROM sqlite_master WHERE name IN ('one', 'two')`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if err := m.run(t.Context()); err == nil || tables() != 1 {
		t.Errorf("error %v, %d tables; want an error and 1", err, tables())
	}
	files["0002_two.sql"] = &fstest.MapFile{Data: []byte(`CREATE TABLE two (x INTEGER);`)}
	for range 2 {
		if err := m.run(t.Context()); err != nil || tables() != 2 {
			t.Errorf("error %v, %d tables; want 2", err, tables())
		}
	}
}

// TestAnOlderProgramWorksOnWhatLaterStepsOnlyAddTo restarts a node of the
// version before in the middle of a rolling upgrade: it starts where each step
// that it does not know says so.
func TestAnOlderProgramWorksOnWhatLaterStepsOnlyAddTo(t *testing.T) {
	known := len(stepNames(t, "sqlite"))
	for name, row := range map[string]struct {
		oldest []int // of the steps that this program does not know
		starts bool
	}{
		"one that only adds":             {[]int{known}, true},
		"two that only add":              {[]int{known - 3, known}, true},
		"one that needs the one before":  {[]int{known, known + 1}, false},
		"one that says nothing":          {[]int{0}, false},
		"one that says nothing, between": {[]int{0, known}, false},
	} {
		later := func(exec func(statement string)) {
			for i, oldest := range row.oldest {
				exec(fmt.Sprintf(`INSERT INTO stepgate_migration (version, applied_at, oldest) VALUES (%d, 0, %d)`, known+1+i, oldest))
			}
		}
		check := func(t *testing.T, db *DB, err error) {
			t.Helper()
			if row.starts != (err == nil) || err != nil && !errors.Is(err, ErrNewer) {
				t.Errorf("error %v", err)
			}
			if err == nil {
				if _, err = db.AppendEvent(t.Context(), audit.Event{Name: audit.LoginSuccess}); err != nil {
					t.Error(err)
				}
				db.Close()
			}
		}
		t.Run(name+"/sqlite", func(t *testing.T) {
			ring, path := storetest.NewRing(t), filepath.Join(t.TempDir(), "stepgate.db")
			db := openFile(t, path, ring)
			later(func(statement string) {
				if err := db.write(t.Context(), raw(statement)); err != nil {
					t.Fatal(err)
				}
			})
			db.Close()
			db, err := OpenSQLite(t.Context(), path, Options{Ring: ring, Chain: audit.NewChain(ring)})
			check(t, db, err)
		})
		t.Run(name+"/postgres", func(t *testing.T) {
			dsn, ring := freshSchema(t), storetest.NewRing(t)
			openSchema(t, dsn, ring).Close()
			later(func(statement string) { onServer(t, dsn, statement) })
			db, err := OpenPostgres(t.Context(), dsn, Options{Ring: ring, Chain: audit.NewChain(ring)})
			check(t, db, err)
		})
	}
}

func stepNames(t *testing.T, dialect string) []string {
	t.Helper()
	names, err := fs.Glob(steps(dialect), "*.sql")
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	return names
}

// TestStepsSayWhoMayWorkOnThem compares the dialects, and what the store has
// kept of it.
func TestStepsSayWhoMayWorkOnThem(t *testing.T) {
	db := openFile(t, filepath.Join(t.TempDir(), "stepgate.db"), storetest.NewRing(t))
	kept, err := list(t.Context(), db.q, value[int], `SELECT oldest FROM stepgate_migration ORDER BY version`)
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range stepNames(t, "sqlite") {
		var said [2]int
		for j, dialect := range []string{"sqlite", "postgres"} {
			text, err := fs.ReadFile(steps(dialect), name)
			if err != nil {
				t.Fatal(err)
			}
			said[j], _ = oldestProgram(text)
		}
		if said[0] != said[1] || said[0] != kept[i] || said[0] > i {
			t.Errorf("%s: %v in the dialects, %d kept", name, said, kept[i])
		}
	}
}
