package sqldb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"

	"github.com/mattn/go-sqlite3" // the driver "sqlite3" too
	"github.com/stepgate/stepgate/internal/keys"
	"github.com/stepgate/stepgate/internal/session"
)

// sqlite is the engine of a store in a file.
type sqlite struct {
	*committer
	readers *sql.DB
}

// OpenSQLite opens the store in the file at path, or makes one: directory
// mode 0700, file mode 0600. A file that others may read is closed to them.
// A commit is on the disk before it is acknowledged. ErrNewer is for a store
// of a later version.
func OpenSQLite(ctx context.Context, path string, o Options) (*DB, error) {
	db, err := openSQLite(ctx, path, o)
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", path, err)
	}
	return db, nil
}

func openSQLite(ctx context.Context, path string, o Options) (*DB, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	file, err := prepareFile(path)
	if err != nil {
		return nil, err
	}
	writer, err := openWriter(ctx, sqliteDSN(path, url.Values{"_txlock": {"immediate"}}))
	if err != nil {
		return nil, err
	}
	if err := file.present(); err != nil {
		writer.Close()
		return nil, err
	}
	readers, err := sql.Open("sqlite3", sqliteDSN(path, url.Values{"_query_only": {"true"}}))
	if err != nil {
		writer.Close()
		return nil, err
	}
	readers.SetMaxOpenConns(max(4, 2*runtime.GOMAXPROCS(0)))
	readers.SetMaxIdleConns(max(4, 2*runtime.GOMAXPROCS(0)))
	db := newDB(o, &pool{db: readers, present: file.present, watch: o.Watch, spell: steady})
	db.engine = &sqlite{committer: startCommitter(db, writer, file.present), readers: readers}
	db.bodies = bodiesOf(path)
	return db, nil
}

// openWriter brings a store up to date and gives the one connection that
// writes. A migration, which may sort whole tables, has another before.
func openWriter(ctx context.Context, dsn string) (*sql.DB, error) {
	migrating, err := sql.Open("sqlite3", dsn)
	if err != nil {
		return nil, err
	}
	defer migrating.Close() // once the writer is there: the last to leave a store tidies it up
	migrating.SetMaxOpenConns(1)
	m := migrator{db: migrating, files: steps("sqlite"), fill: fills, lock: func(context.Context, querier) error { return nil }}
	if err := m.run(ctx); err != nil {
		return nil, err
	}
	writer := sql.OpenDB(writing{dsn})
	writer.SetMaxOpenConns(1)
	if err := writer.PingContext(ctx); err != nil {
		return nil, errors.Join(err, writer.Close())
	}
	return writer, nil
}

// writing makes the writer's connection, and any that takes its place.
type writing struct{ dsn string }

func (w writing) Driver() driver.Driver { return &sqlite3.SQLiteDriver{ConnectHook: journalInMemory} }

func (w writing) Connect(context.Context) (driver.Conn, error) { return w.Driver().Open(w.dsn) }

// journalInMemory has a connection remember in memory what each page was
// before a turn. A turn changes more than SQLite's own bound of 64 KiB, past
// which it goes to a temporary file that nobody reads.
func journalInMemory(c *sqlite3.SQLiteConn) error {
	_, err := c.Exec("PRAGMA temp_store = MEMORY", nil)
	return err
}

// listen has nobody to hear of: processes that share a file do not tell each
// other.
func (s *sqlite) listen(context.Context, func()) error { return session.ErrCannotListen }

func (s *sqlite) close() error {
	s.stop()
	return errors.Join(s.readers.Close(), s.db.Close())
}

// sqliteDSN asks for write-ahead logging with a sync at every commit. The
// file exists already; if it went away since, it is not made again.
func sqliteDSN(path string, more url.Values) string {
	q := url.Values{
		"mode":             {"rw"},
		"_journal_mode":    {"WAL"},
		"_synchronous":     {"FULL"},
		"_foreign_keys":    {"on"},
		"_busy_timeout":    {"5000"},
		"_stmt_cache_size": {"100"},
	}
	for name, values := range more {
		q[name] = values
	}
	return (&url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(path), RawQuery: q.Encode()}).String()
}

// SQLiteExists tells whether there is a store in the file at path. A missing
// or empty file is none, and neither is one whose making was interrupted.
func SQLiteExists(ctx context.Context, path string) (bool, error) {
	exists, err := sqliteExists(ctx, path)
	if err != nil {
		return false, fmt.Errorf("look for store %s: %w", path, err)
	}
	return exists, nil
}

func sqliteExists(ctx context.Context, path string) (bool, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return false, err
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil || info.Size() == 0 {
		return false, err
	}
	db, err := sql.Open("sqlite3", sqliteDSN(path, url.Values{"_query_only": {"true"}}))
	if err != nil {
		return false, err
	}
	defer db.Close()
	tables, err := one(ctx, &pool{db: db, present: func() error { return nil }}, sql.ErrNoRows, value[int],
		`SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'stepgate_migration'`)
	return tables > 0, err
}

// ErrReplaced says that the file at the store's path is not the one that was
// opened: it was removed or another was put in its place.
var ErrReplaced = errors.New("sqldb: the store's file was removed or replaced; restart to use what is there now")

// openedFile remembers which file was opened.
type openedFile struct {
	path string
	info os.FileInfo
}

// present returns ErrReplaced when the path leads elsewhere by now.
func (f *openedFile) present() error {
	info, err := os.Stat(f.path)
	if err != nil || !os.SameFile(info, f.info) {
		return ErrReplaced
	}
	return nil
}

// prepareFile makes the file if need be, durably, and sees to it that only
// its owner may read it and what SQLite puts beside it.
func prepareFile(path string) (*openedFile, error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	f.Close() // SQLite opens it for itself
	if err := keys.SyncDirectory(dir); err != nil {
		return nil, err
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := closeToOthers(path + suffix); err != nil {
			return nil, err
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	return &openedFile{path: path, info: info}, nil
}

func closeToOthers(path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil || runtime.GOOS == "windows" || info.Mode().Perm()&0o077 == 0 {
		return err
	}
	if err := os.Chmod(path, info.Mode().Perm()&0o700); err != nil {
		return fmt.Errorf("others may read it; run chmod 600 %s: %w", path, err)
	}
	return nil
}
