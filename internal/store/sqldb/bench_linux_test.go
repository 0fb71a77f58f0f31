package sqldb

import (
	"context"
	"database/sql"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/store"
	"github.com/stepgate/stepgate/internal/store/storetest"
)

// benchWriters is how many callers write at once.
const benchWriters = 16

// BenchmarkUpdate compares durable commits a second: what the disk gives one
// writer who syncs as many bytes as one commit appends to the log, callers
// who each commit by themselves, and callers who share commits. The change is
// one audit event.
func BenchmarkUpdate(b *testing.B) {
	b.Run("disk", benchmarkDisk)
	b.Run("alone", func(b *testing.B) {
		db, _ := benchStore(b)
		lone := startLone(b, db)
		inParallel(b, func() error { return lone.write(b.Context(), benchChange) })
	})
	b.Run("grouped", func(b *testing.B) {
		db, _ := benchStore(b)
		inParallel(b, func() error {
			return db.Update(b.Context(), func(tx store.Tx) error { return benchChange(tx) })
		})
	})
}

func benchChange(tx store.Tx) error {
	_, err := tx.AppendEvent(context.Background(), audit.Event{
		Name: audit.LoginSuccess, Account: "ACCOUNT", Organisation: "default", Site: "https://portal.example.gov", Address: "192.0.2.7",
	})
	return err
}

func benchStore(b *testing.B) (*DB, string) {
	path := filepath.Join(b.TempDir(), "stepgate.db")
	db := openFile(b, path, storetest.NewRing(b))
	for range 10 {
		if err := db.Update(b.Context(), benchChange); err != nil {
			b.Fatal(err)
		}
	}
	return db, path
}

// inParallel calls do b.N times from all writers and reports the rate.
func inParallel(b *testing.B, do func() error) {
	b.ReportAllocs()
	b.ResetTimer()
	var done atomic.Int64
	var all sync.WaitGroup
	for range benchWriters {
		all.Go(func() {
			for done.Add(1) <= int64(b.N) {
				if err := do(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
}

// lone is the naive writer: a transaction and a commit for each change.
type lone struct {
	store *DB
	db    *sql.DB
}

func startLone(b *testing.B, store *DB) *lone {
	var path string
	if err := store.q.each(b.Context(), func(rows row) error {
		var seq int
		var name string
		return rows.Scan(&seq, &name, &path)
	}, `PRAGMA database_list`); err != nil {
		b.Fatal(err)
	}
	db, err := sql.Open("sqlite3", sqliteDSN(path, url.Values{"_txlock": {"immediate"}}))
	if err != nil {
		b.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	b.Cleanup(func() { db.Close() })
	return &lone{store: store, db: db}
}

func (l *lone) write(ctx context.Context, change func(store.Tx) error) error {
	begun, err := l.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer begun.Rollback()
	t := l.store.newTx(&statements{tx: begun, under: ctx}, lockNothing, moveHead)
	if err := t.run(ctx, func(t *tx) error { return change(t) }); err != nil {
		return err
	}
	return begun.Commit()
}

// benchmarkDisk writes round and round in a file of the size at which SQLite
// begins its log again, so that the file does not grow, as the log does not.
func benchmarkDisk(b *testing.B) {
	frame := make([]byte, bytesOfCommit(b))
	f, err := os.Create(filepath.Join(b.TempDir(), "log"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	const size = 1000 * 4120
	if _, err := f.Write(make([]byte, size)); err != nil {
		b.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		b.Fatal(err)
	}
	offset := int64(0)
	for b.Loop() {
		if offset+int64(len(frame)) > size {
			offset = 0
		}
		if _, err := f.WriteAt(frame, offset); err != nil {
			b.Fatal(err)
		}
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			b.Fatal(err)
		}
		offset += int64(len(frame))
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
	b.ReportMetric(float64(len(frame)), "bytes/commit")
}

// bytesOfCommit is how much one lone change appends to the log.
func bytesOfCommit(b *testing.B) int64 {
	db, path := benchStore(b)
	size := func() int64 {
		info, err := os.Stat(path + "-wal")
		if err != nil {
			b.Fatal(err)
		}
		return info.Size()
	}
	before := size()
	if err := db.Update(b.Context(), benchChange); err != nil {
		b.Fatal(err)
	}
	return size() - before
}

// BenchmarkChanges is the look at the feed that every node takes four times a
// second, when there is nothing new.
func BenchmarkChanges(b *testing.B) {
	db, _ := benchStore(b)
	_, head, err := db.Changes(b.Context(), -1)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := db.Changes(b.Context(), head); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSessionByHash is what a session costs that a node has not seen
// before.
func BenchmarkSessionByHash(b *testing.B) {
	db, _ := benchStore(b)
	a := named("jo")
	id := session.NewIdentifier()
	s := session.Session{ID: "s", Hash: id.Hash(), Account: a.ID, CreatedAt: storetest.Noon, EndsAt: storetest.Noon.Add(3600e9)}
	if err := db.write(b.Context(), insert("jo")); err != nil {
		b.Fatal(err)
	}
	if err := db.InsertSession(b.Context(), s); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := db.SessionByHash(b.Context(), s.Hash, storetest.Noon); err != nil {
			b.Fatal(err)
		}
	}
}
