package sqldb

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/keys"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/store/storetest"
	"github.com/stepgate/stepgate/policy"
)

// What many live sessions cost: a start on them, a request whose session is not
// in memory, and a writer while those that are over are deleted. As many live as
// STEPGATE_BENCH_SESSIONS says, beside three tenths of that which are over:
//
//	STEPGATE_BENCH_SESSIONS=1000000 go test ./internal/store/sqldb -run - -bench Sessions -benchtime 1000x -timeout 1h
//
// The deletion is measured by -benchtime 1x alone: a second round finds nothing
// to delete. A store in the folder STEPGATE_BENCH_STORE stays, and is filled up
// to the same number before the next run.

// sessionSite is where the sessions of the benchmark are.
var sessionSite = session.Place{Origin: "https://portal.example.gov", Cookie: "stepgate"}

// BenchmarkSessions fills a store and measures it.
func BenchmarkSessions(b *testing.B) {
	n := benchSize(b, "STEPGATE_BENCH_SESSIONS", 20_000)
	open, ring := scaleStore(b)
	db := open()
	now := time.Now()
	var cookies []string
	b.Run("fill", func(b *testing.B) {
		if cookies != nil {
			return
		}
		living, over := heldSessions(b, db, now)
		fillSessions(b, db, n-living, now.Add(12*time.Hour))
		fillSessions(b, db, n*3/10-over, now.Add(-24*time.Hour))
		cookies = beginSessions(b, db, ring, 5000)
		analyse(b, db)
	})
	timed(b, "open store and begin to trust it", func(int) error {
		here := open()
		m := sessionManager(here, ring)
		if err := m.Run(b.Context()); err != nil {
			return err
		}
		m.Close()
		return here.Close()
	})
	b.Run("find one that is not in memory", func(b *testing.B) { findOnce(b, db, ring, cookies) })
	b.Run("commit", func(b *testing.B) { commitWhile(b, oneSession(b, db), func() error { return nil }) })
	b.Run("commit while those that are over are deleted", func(b *testing.B) {
		commitWhile(b, oneSession(b, db), func() error { return db.Purge(b.Context(), now) })
	})
}

// heldSessions counts those that live and those that are over.
func heldSessions(b *testing.B, db *DB, now time.Time) (living, over int) {
	b.Helper()
	all := held(b, db, "session")
	over, err := one(b.Context(), db.q, sql.ErrNoRows, value[int], `SELECT count(*) FROM session WHERE ends_at <= $1`, instant(now))
	if err != nil {
		b.Fatal(err)
	}
	return all - over, over
}

func sessionManager(db *DB, ring *keys.Ring) *session.Manager {
	return session.NewManager(db, ring.CookieKeys("session"), session.Limits{Idle: time.Hour, Absolute: 12 * time.Hour, InMemory: 100_000, Grace: time.Minute})
}

// fillSessions keeps sessions of one account that end at some time.
func fillSessions(b *testing.B, db *DB, n int, endsAt time.Time) {
	b.Helper()
	err := db.write(b.Context(), func(t *tx) error {
		err := t.InsertAccount(b.Context(), named("jo"))
		if errors.Is(err, account.ErrTaken) {
			err = nil
		}
		return err
	})
	proofs := []policy.Proof{{Factor: policy.Password, At: endsAt}, {Factor: policy.TOTP, At: endsAt, Credential: "ABCDEFGHIJKLMNOPQRST"}}
	const batch = 20_000
	for from := 0; from < n && err == nil; from += batch {
		err = db.write(b.Context(), func(t *tx) error {
			rows := &manyRows{table: "session", columns: "hash, id, account, site, source, proofs, device, device_id, risk, created_at, seen_at, ends_at, superseded_at, address, user_agent"}
			for range min(batch, n-from) {
				var hash [32]byte
				rand.Read(hash[:])
				rows.add(hash[:], hex.EncodeToString(hash[:13]), "jo", sessionSite.Origin, account.LocalSource, asJSON(&proofs), "", "", "low",
					instant(endsAt), instant(endsAt), instant(endsAt), instant{}, "192.0.2.7", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36")
			}
			return rows.later(b.Context(), t.q)
		})
	}
	if err != nil {
		b.Fatal(err)
	}
}

// beginSessions begins some as the gateway does, and gives their cookies.
func beginSessions(b *testing.B, db *DB, ring *keys.Ring, n int) []string {
	b.Helper()
	m := sessionManager(db, ring)
	if err := m.Run(b.Context()); err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	cookies := make([]string, n)
	var next atomic.Int64
	var all sync.WaitGroup
	for range 32 {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				w := httptest.NewRecorder()
				_, err := m.Begin(b.Context(), w, session.Beginning{
					Place: sessionSite, Owner: "jo", Source: account.LocalSource, Proofs: []policy.Proof{{Factor: policy.Password, At: storetest.Noon}},
				})
				if err != nil {
					b.Error(err)
					return
				}
				cookies[i] = w.Result().Cookies()[0].Value
			}
		})
	}
	all.Wait()
	return cookies
}

// findOnce has a node that knows nobody find each session once.
func findOnce(b *testing.B, db *DB, ring *keys.Ring, cookies []string) {
	m := sessionManager(db, ring)
	if err := m.Run(b.Context()); err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	took := make([]time.Duration, 0, len(cookies))
	for range min(b.N, 1) {
		for _, cookie := range cookies {
			h := http.Header{"Cookie": {sessionSite.Cookie + "=" + cookie}}
			begun := time.Now()
			e, err := m.Find(b.Context(), h, sessionSite)
			if err != nil || e == nil {
				b.Fatal("not found", err)
			}
			took = append(took, time.Since(begun))
		}
	}
	reportSpans(b, took)
	runtime.GC()
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	b.ReportMetric(float64(memory.HeapAlloc)/(1<<20), "heap-MiB")
}

// oneSession keeps a session of Jo, as a sign-in does.
func oneSession(b *testing.B, db *DB) func() error {
	return func() error {
		at := time.Now()
		return db.InsertSession(b.Context(), session.Session{
			ID: session.ID(account.NewID()), Hash: session.NewIdentifier().Hash(), Account: "jo", Site: sessionSite.Origin, Source: account.LocalSource,
			CreatedAt: at, SeenAt: at, EndsAt: at.Add(time.Hour),
		})
	}
}

// commitWhile commits something short, again and again, until something else
// has ended, and at least a thousand times.
func commitWhile(b *testing.B, commit, busy func() error) {
	for range min(b.N, 1) {
		ctx, cancel := context.WithCancel(b.Context())
		ended := make(chan error, 1)
		begun := time.Now()
		var lasted time.Duration
		go func() {
			err := busy()
			lasted = time.Since(begun)
			ended <- err
			cancel()
		}()
		var took []time.Duration
		for ctx.Err() == nil || len(took) < 1000 {
			at := time.Now()
			if err := commit(); err != nil {
				b.Fatal(err)
			}
			took = append(took, time.Since(at))
		}
		if err := <-ended; err != nil {
			b.Fatal(err)
		}
		reportSpans(b, took)
		b.ReportMetric(lasted.Seconds(), "busy-s")
	}
}

func reportSpans(b *testing.B, took []time.Duration) {
	if len(took) == 0 {
		return
	}
	slices.Sort(took)
	for p, at := range map[string]int{"p50-ms": len(took) / 2, "p99-ms": len(took) * 99 / 100, "max-ms": len(took) - 1} {
		b.ReportMetric(float64(took[at].Microseconds())/1000, p)
	}
	b.ReportMetric(0, "ns/op")
}
