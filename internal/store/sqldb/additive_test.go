package sqldb

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stepgate/stepgate/internal/keys"
	"github.com/stepgate/stepgate/internal/store"
	"github.com/stepgate/stepgate/internal/store/storetest"
)

// TestANodeWorksOnTablesThatALaterVersionAddedTo is a rolling upgrade seen by
// the nodes that are replaced last: every table has got a column that they do
// not know.
func TestANodeWorksOnTablesThatALaterVersionAddedTo(t *testing.T) {
	if testing.Short() {
		t.Skip("looks again at what TestSQLiteConforms looks at")
	}
	storetest.Run(t, func(t *testing.T, ring *keys.Ring) store.Store {
		path := filepath.Join(t.TempDir(), "stepgate.db")
		db := openFile(t, path, ring)
		later, err := sql.Open("sqlite3", sqliteDSN(path, nil))
		if err != nil {
			t.Fatal(err)
		}
		defer later.Close()
		tables, err := list(t.Context(), &pool{db: later, present: func() error { return nil }}, value[string],
			`SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'`)
		if err != nil || len(tables) < 10 {
			t.Fatalf("%d tables, %v", len(tables), err)
		}
		for _, table := range tables {
			if _, err := later.Exec(fmt.Sprintf(`ALTER TABLE %s ADD COLUMN later TEXT NOT NULL DEFAULT 'x'`, table)); err != nil {
				t.Fatal(err)
			}
		}
		return db
	})
}
