package sqldb

import (
	"context"
	"database/sql"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"
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
