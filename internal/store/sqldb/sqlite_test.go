package sqldb

import (
	"path/filepath"
	"testing"

	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/keys"
	"github.com/stepgate/stepgate/internal/store"
	"github.com/stepgate/stepgate/internal/store/storetest"
)

func TestSQLiteConforms(t *testing.T) {
	storetest.Run(t, func(t *testing.T, ring *keys.Ring) store.Store {
		return openFile(t, filepath.Join(t.TempDir(), "stepgate.db"), ring)
	})
}

// openFile opens a store in a file until the test ends.
func openFile(t testing.TB, path string, ring *keys.Ring) *DB {
	t.Helper()
	db, err := OpenSQLite(t.Context(), path, Options{Ring: ring, Chain: audit.NewChain(ring)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}
