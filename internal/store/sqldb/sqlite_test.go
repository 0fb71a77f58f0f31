package sqldb

import (
	"database/sql/driver"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
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

func modeOf(t *testing.T, path string) os.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

func TestSQLiteFilesAreTheOwnersOnly(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data", "stepgate")
	path := filepath.Join(dir, "stepgate.db")
	db := openFile(t, path, storetest.NewRing(t))
	if got := modeOf(t, dir); got != 0o700 {
		t.Errorf("directory has mode %o", got)
	}
	check := func() {
		t.Helper()
		for _, suffix := range []string{"", "-wal", "-shm"} {
			if got := modeOf(t, path+suffix); got != 0o600 {
				t.Errorf("stepgate.db%s has mode %o", suffix, got)
			}
		}
	}
	check()
	// A file brought back from a backup is closed to others again.
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Chmod(path+suffix, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	openFile(t, path, storetest.NewRing(t))
	check()
	db.Close()
}

func TestSQLiteSettings(t *testing.T) {
	db := openFile(t, filepath.Join(t.TempDir(), "odd name?%#.db"), storetest.NewRing(t))
	err := db.write(t.Context(), func(tx *tx) error {
		for pragma, want := range map[string]string{
			"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "5000", "query_only": "0",
			"temp_store": "2",
		} {
			got, err := one(t.Context(), tx.q, errNoHead, value[string], "PRAGMA "+pragma)
			if err != nil || got != want {
				t.Errorf("%s is %q, %v; want %q", pragma, got, err, want)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	// A connection that broke is replaced by one of the same settings.
	writer := db.engine.(*sqlite).db
	broken, err := writer.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := broken.Raw(func(any) error { return driver.ErrBadConn }); !errors.Is(err, driver.ErrBadConn) {
		t.Error(err)
	}
	kept := ""
	if err := writer.QueryRowContext(t.Context(), "PRAGMA temp_store").Scan(&kept); err != nil || kept != "2" {
		t.Errorf("afterwards temp_store is %q, %v", kept, err)
	}
	if _, err := db.q.exec(t.Context(), `DELETE FROM account`); err == nil {
		t.Error("a reading connection wrote")
	}
}

func TestSQLiteExistsOnceMade(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stepgate.db")
	exists := func() bool {
		t.Helper()
		got, err := SQLiteExists(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if exists() {
		t.Error("a missing file is a store")
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("looking made the file: %v", err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if exists() {
		t.Error("an empty file is a store")
	}
	db := openFile(t, path, storetest.NewRing(t))
	if !exists() {
		t.Error("an open store is none")
	}
	db.Close()
	if !exists() {
		t.Error("a closed store is none")
	}
	if err := os.WriteFile(path, []byte("something else entirely, and long enough"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := SQLiteExists(t.Context(), path); err == nil {
		t.Errorf("another file: %v, no error", got)
	}
	if _, err := OpenSQLite(t.Context(), path, Options{}); err == nil {
		t.Error("another file was opened as a store")
	}
}

func TestSQLiteRefusesNewerStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stepgate.db")
	db := openFile(t, path, storetest.NewRing(t))
	if err := db.write(t.Context(), raw(`INSERT INTO stepgate_migration (version, applied_at) VALUES (1000, 0)`)); err != nil {
		t.Fatal(err)
	}
	db.Close()
	if _, err := OpenSQLite(t.Context(), path, Options{}); !errors.Is(err, ErrNewer) {
		t.Errorf("error is %v", err)
	}
}

func TestSQLiteNoticesThatItsFileIsGone(t *testing.T) {
	for name, harm := range map[string]func(path string) error{
		"removed": os.Remove,
		"moved":   func(path string) error { return os.Rename(path, path+".old") },
		"replaced": func(path string) error {
			return errors.Join(os.Rename(path, path+".old"), os.WriteFile(path, nil, 0o600))
		},
		"directory removed": func(path string) error { return os.RemoveAll(filepath.Dir(path)) },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "data", "stepgate.db")
			db := openFile(t, path, storetest.NewRing(t))
			if err := db.write(t.Context(), insert("jo")); err != nil {
				t.Fatal(err)
			}
			if err := harm(path); err != nil {
				t.Fatal(err)
			}
			_, _, feed := db.Changes(t.Context(), 0)
			_, head := func() (int64, error) { _, n, err := db.Changes(t.Context(), -1); return n, err }()
			_, read := db.Account(t.Context(), "jo")
			for what, err := range map[string]error{"feed": feed, "head": head, "read": read, "write": db.write(t.Context(), insert("too late"))} {
				if !errors.Is(err, ErrReplaced) {
					t.Errorf("%s: %v", what, err)
				}
			}
		})
	}
}

func TestSQLiteLossWhileWritingIsNotAcknowledged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stepgate.db")
	db := openFile(t, path, storetest.NewRing(t))
	err := db.write(t.Context(), func(tx *tx) error {
		return errors.Join(insert("jo")(tx), os.Rename(path, path+".old"))
	})
	if !errors.Is(err, ErrReplaced) {
		t.Errorf("error is %v", err)
	}
}

// TestSQLiteTwoProcessesShareAFile opens a file twice, as a command does
// beside the gateway.
func TestSQLiteTwoProcessesShareAFile(t *testing.T) {
	path, ring := filepath.Join(t.TempDir(), "stepgate.db"), storetest.NewRing(t)
	nodes := []*DB{openFile(t, path, ring), openFile(t, path, ring)}
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			for range 5 {
				if _, err := nodes[i%2].AppendEvent(t.Context(), audit.Event{Name: audit.LoginFail}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	result, err := audit.NewChain(ring).Verify(audit.Walk(t.Context(), nodes[0], 0), audit.Expectation{})
	if err != nil || result.Break != nil || result.Records != 100 {
		t.Errorf("%+v, %v", result, err)
	}
}
