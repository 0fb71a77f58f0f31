package sqldb

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/kept"
	"github.com/stepgate/stepgate/internal/keys"
	"github.com/stepgate/stepgate/internal/store/storetest"
)

// bodyBench is a store in a file whose kept bodies are looked at.
type bodyBench struct {
	*testing.T
	db   *DB
	path string
}

func newBodyBench(t *testing.T) *bodyBench {
	path := filepath.Join(t.TempDir(), "stepgate.db")
	b := &bodyBench{t, openFile(t, path, storetest.NewRing(t)), path}
	b.must(b.db.write(t.Context(), func(tx *tx) error { return tx.InsertAccount(t.Context(), named("jo")) }))
	return b
}

func (b *bodyBench) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

var secretChunk = bytes.Repeat([]byte("not-to-be-found "), kept.ChunkBytes/16)

// keep keeps a request of two chunks of full length and one that is shorter.
func (b *bodyBench) keep(bounds kept.Bounds) kept.Request {
	b.Helper()
	q := kept.Request{
		ID: kept.NewID(), Owner: kept.Owner{Account: account.ID("jo"), Browser: kept.BrowserOf("jo"), Site: "https://portal.example.gov"},
		Size: 2*kept.ChunkBytes + 3, KeptAt: storetest.Noon, ExpiresAt: storetest.Noon.Add(kept.TTL),
	}
	b.must(b.db.BeginKept(b.Context(), q, bounds))
	for seq, chunk := range [][]byte{secretChunk, secretChunk, []byte("end")} {
		b.must(b.db.AddKeptChunk(b.Context(), q.ID, seq, chunk))
	}
	b.must(b.db.FinishKept(b.Context(), q, audit.Event{At: storetest.Noon, Name: audit.RequestKept}))
	return q
}

// files are the requests that have a file, and fails where one shows what is
// in it, or to others.
func (b *bodyBench) files() map[kept.ID]bool {
	b.Helper()
	ids, err := b.db.bodies.all()
	b.must(err)
	there := map[kept.ID]bool{}
	for _, id := range ids {
		there[id] = true
		path := filepath.Join(b.path+"-kept", string(id))
		content, err := os.ReadFile(path)
		if b.must(err); bytes.Contains(content, []byte("not-to-be-found")) {
			b.Error("a body is in the clear")
		}
		if mode := modeOf(b.T, path); mode.Perm() != 0o600 {
			b.Errorf("others may read it: %v", mode)
		}
	}
	if len(ids) > 0 {
		if mode := modeOf(b.T, b.path+"-kept"); mode.Perm() != 0o700 {
			b.Errorf("others may look into the folder: %v", mode)
		}
	}
	return there
}

func TestALargeBodyIsSealedInAFileThatGoesWithItsRequest(t *testing.T) {
	roomy := kept.Bounds{AccountRequests: 10, AccountBytes: 10 << 20, TotalBytes: 10 << 20}
	for name, end := range map[string]func(b *bodyBench, q kept.Request){
		"dropped": func(b *bodyBench, q kept.Request) { b.must(b.db.DropKept(t.Context(), q.ID)) },
		"another takes its place": func(b *bodyBench, q kept.Request) {
			bounds := roomy
			bounds.AccountRequests = 1
			b.keep(bounds)
		},
		"sent on": func(b *bodyBench, q kept.Request) {
			b.must(b.db.RedeemKept(t.Context(), q.ID, storetest.Noon, audit.Event{At: storetest.Noon, Name: audit.RequestKept}))
			b.must(b.db.DropKeptBody(t.Context(), q.ID))
		},
		"over": func(b *bodyBench, q kept.Request) { b.must(b.db.Purge(t.Context(), q.ExpiresAt)) },
		"its person is locked out": func(b *bodyBench, q kept.Request) {
			b.must(b.db.write(t.Context(), func(tx *tx) error { return tx.dropKeptOf(t.Context(), "jo") }))
			if _, err := b.db.KeptChunk(t.Context(), q.ID, 0); !errors.Is(err, kept.ErrGone) {
				b.Errorf("before the sweep: %v", err)
			}
			b.must(b.db.Purge(t.Context(), storetest.Noon))
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBodyBench(t)
			q := b.keep(roomy)
			b.must(b.db.Purge(t.Context(), storetest.Noon)) // which leaves it
			if !b.files()[q.ID] {
				t.Fatal("it is in no file")
			}
			for seq, want := range [][]byte{secretChunk, secretChunk, []byte("end")} {
				if got, err := b.db.KeptChunk(t.Context(), q.ID, seq); err != nil || !bytes.Equal(got, want) {
					t.Errorf("chunk %d: %d bytes, %v", seq, len(got), err)
				}
			}
			end(b, q)
			if b.files()[q.ID] {
				t.Error("its file is still there")
			}
			if _, err := b.db.KeptChunk(t.Context(), q.ID, 0); !errors.Is(err, kept.ErrGone) {
				t.Errorf("reads with %v", err)
			}
		})
	}
}

func TestAChunkFromAnotherPlaceDoesNotOpen(t *testing.T) {
	b := newBodyBench(t)
	roomy := kept.Bounds{AccountRequests: 10, AccountBytes: 10 << 20, TotalBytes: 10 << 20}
	q, other := b.keep(roomy), b.keep(roomy)
	at := func(id kept.ID) string { return filepath.Join(b.path+"-kept", string(id)) }
	content, err := os.ReadFile(at(q.ID))
	b.must(err)
	b.must(os.WriteFile(at(other.ID), content, 0o600))
	if _, err := b.db.KeptChunk(t.Context(), other.ID, 0); !errors.Is(err, ErrUnsealed) {
		t.Errorf("another request's: %v", err)
	}
	b.must(os.WriteFile(at(q.ID), append(content[slot:], content[:slot]...), 0o600))
	if _, err := b.db.KeptChunk(t.Context(), q.ID, 0); !errors.Is(err, ErrUnsealed) {
		t.Errorf("another chunk: %v", err)
	}
}

func TestKeysThatFilesNeedAreCounted(t *testing.T) {
	b := newBodyBench(t)
	count := func() (n int64) {
		needs, err := b.db.KeyNeeds(t.Context())
		b.must(err)
		for _, need := range needs {
			n += need.Count
		}
		return n
	}
	before := count()
	b.keep(kept.Bounds{AccountRequests: 10, AccountBytes: 10 << 20, TotalBytes: 10 << 20})
	if n := count() - before; n != 4 { // head, two chunks in the file, the end of it in the table
		t.Errorf("%d more are sealed", n)
	}
}

func TestACopyTakesLargeBodiesAlong(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) {
		copied := filepath.Join(t.TempDir(), "copy.db")
		copyBodiesTo(t, SQLiteAt(copied), func(ring *keys.Ring) *DB { return openFile(t, copied, ring) })
	})
	t.Run("postgres", func(t *testing.T) {
		dsn := freshSchema(t)
		copyBodiesTo(t, PostgresAt(dsn), func(ring *keys.Ring) *DB { return openSchema(t, dsn, ring) })
	})
}

func copyBodiesTo(t *testing.T, to Place, open func(*keys.Ring) *DB) {
	b := newBodyBench(t)
	roomy := kept.Bounds{AccountRequests: 10, AccountBytes: 10 << 20, TotalBytes: 10 << 20}
	q, over := b.keep(roomy), b.keep(roomy)
	b.must(b.db.write(t.Context(), func(tx *tx) error { // whose file is not swept yet
		_, err := tx.q.exec(t.Context(), `DELETE FROM kept_request WHERE id = $1`, string(over.ID))
		return err
	}))
	b.must(Copy(t.Context(), SQLiteAt(b.path), to, func(string, int64) {}))
	there := open(b.db.ring)
	for seq, want := range [][]byte{secretChunk, secretChunk, []byte("end")} {
		if got, err := there.KeptChunk(t.Context(), q.ID, seq); err != nil || !bytes.Equal(got, want) {
			t.Errorf("chunk %d: %d bytes, %v", seq, len(got), err)
		}
	}
	b.must(there.DropKept(t.Context(), q.ID))
	if n, err := one(t.Context(), there.q, kept.ErrGone, value[int], `SELECT count(*) FROM kept_chunk`); err != nil || n != 0 {
		t.Errorf("%d chunks are left, %v", n, err)
	}
}
