package pagetest

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/device"
	"github.com/stepgate/stepgate/internal/keys"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/store"
	"github.com/stepgate/stepgate/internal/store/sqldb"
	"github.com/stepgate/stepgate/internal/store/storetest"
	"github.com/stepgate/stepgate/internal/throttle"
	"github.com/stepgate/stepgate/internal/web"
)

// Bench is one node's store and what works on it, for one site.
type Bench struct {
	*Clock
	Ring *keys.Ring
	DB   *sqldb.DB
	File string // of the store
	// DSN leads to the store where it is a PostgreSQL database.
	DSN      string
	Sessions *session.Manager
	Recorder *audit.Recorder
	Ledger   *throttle.Ledger
	Place    session.Place
	Web      *web.Site
	Kit      *web.Kit
	Guard    *web.Guard
	// Crashes keeps what a kill would leave, once it has begun.
	Crashes *storetest.Crashes

	t testing.TB
}

// New makes keys and a store for a site at origin.
func New(t *testing.T, origin string) *Bench {
	t.Helper()
	clock, dir := &Clock{now: time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)}, t.TempDir()
	ring, err := keys.Create(filepath.Join(dir, "stepgate.key"), clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	return open(t, &Bench{Clock: clock, Ring: ring, File: filepath.Join(dir, "stepgate.db")}, origin)
}

// Over has the store and the key of a folder, stepgate.db and stepgate.key, which
// are made where they are missing; where dsn is given it leads to the store. The
// clock begins at the hour that it is.
func Over(t testing.TB, dir, dsn, origin string) *Bench {
	t.Helper()
	clock, key := &Clock{now: time.Now().UTC()}, filepath.Join(dir, "stepgate.key")
	ring, err := keys.Load(key)
	if errors.Is(err, fs.ErrNotExist) {
		ring, err = keys.Create(key, clock.Now())
	}
	if err != nil {
		t.Fatal(err)
	}
	return open(t, &Bench{Clock: clock, Ring: ring, File: filepath.Join(dir, "stepgate.db"), DSN: dsn}, origin)
}

// Node is another node over the same store: keys and clock are the same, and
// nothing else.
func (b *Bench) Node() *Bench {
	b.t.Helper()
	return open(b.t, &Bench{Clock: b.Clock, Ring: b.Ring, File: b.File}, b.Web.Origin)
}

// After is a node that comes up, some time later, over what a kill has left of
// the store.
func (b *Bench) After(left string, down time.Duration) *Bench {
	b.t.Helper()
	return open(b.t, &Bench{Clock: &Clock{now: b.Now().Add(down)}, Ring: b.Ring, File: left}, b.Web.Origin)
}

func open(t testing.TB, b *Bench, origin string) *Bench {
	t.Helper()
	b.t, b.Crashes = t, storetest.NewCrashes(t, b.File)
	var err error
	options := sqldb.Options{Ring: b.Ring, Chain: audit.NewChain(b.Ring), Watch: sqldb.Watch{Took: b.Crashes.Took}}
	if b.DSN != "" {
		b.DB, err = sqldb.OpenPostgres(t.Context(), b.DSN, options)
	} else {
		b.DB, err = sqldb.OpenSQLite(t.Context(), b.File, options)
	}
	if err != nil {
		t.Fatal(err)
	}
	limits := session.Limits{Idle: 30 * time.Minute, Absolute: 12 * time.Hour, PublicIdle: device.PublicIdle, Grace: 24 * time.Hour}
	b.Sessions = session.NewManager(b.DB, b.Ring.CookieKeys("session"), limits) // moving the clock is no silence of the store
	b.Sessions.Now = b.Now
	if err := b.Sessions.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.Recorder = audit.NewRecorder(audit.Options{Store: b.DB, Now: b.Now})
	t.Cleanup(func() {
		b.Sessions.Close()
		b.Recorder.Close(context.Background())
		b.DB.Close()
	})
	if b.Kit, err = web.New(web.Options{Now: b.Now}); err != nil {
		t.Fatal(err)
	}
	b.Web = &web.Site{Name: "Portal", Origin: origin, SecureCookies: true}
	b.Guard = &web.Guard{Site: b.Web, MAC: b.Ring.MAC, Verify: b.Ring.VerifyMAC, Now: b.Now}
	b.Place = session.Place{Origin: origin, Secure: true, Cookie: session.CookieName(true, "")}
	b.Ledger = &throttle.Ledger{Store: b.DB, Now: b.Now}
	return b
}

// Parse makes a room's pages.
func (b *Bench) Parse(room string, templates fs.FS, names []string) *web.Pages {
	b.t.Helper()
	pages, err := b.Kit.Parse(room, templates, names...)
	if err != nil {
		b.t.Fatal(err)
	}
	return pages
}

// Update changes the store.
func (b *Bench) Update(change func(context.Context, store.Tx) error) {
	b.t.Helper()
	if err := b.DB.Update(b.t.Context(), func(tx store.Tx) error { return change(b.t.Context(), tx) }); err != nil {
		b.t.Fatal(err)
	}
}

// Address is where every request comes from.
func Address(*http.Request) netip.Addr { return netip.MustParseAddr("192.0.2.7") }

// Clock moves when a test says so.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// Now is the time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Wait lets time pass.
func (c *Clock) Wait(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}
