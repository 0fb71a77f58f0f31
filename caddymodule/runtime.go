package caddymodule

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/factors/delivery"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/keys"
	"github.com/stepgate/stepgate/internal/operation"
	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/signin"
	"github.com/stepgate/stepgate/internal/store"
	"github.com/stepgate/stepgate/internal/store/sqldb"
	"github.com/stepgate/stepgate/internal/throttle"
	"github.com/stepgate/stepgate/internal/weld"
)

// active is the runtime of the configuration in force, for the admin
// endpoint: a handler of a configuration that was refused must not answer
// from it, nor fall silent.
var active atomic.Pointer[runtime]

// pool keeps what outlives a reload.
var pool = caddy.NewUsagePool()

// poolKey is everything that calls for a new runtime when it changes.
type poolKey struct{ driver, path, dsn, keyFile string }

// runtime is what the sites of a server share and what outlives a reload: the
// store, the keys, the sessions in memory.
type runtime struct {
	storeName string
	store     store.Store
	ring      *keys.Ring
	sessions  *session.Manager
	turns     *weld.Turns
	people    *people.People
	recorder  *audit.Recorder
	ledger    *throttle.Ledger
	plan      *throttle.Plan
	// factors are those that this configuration offers.
	factors *factors.Registry
	outbox  *delivery.Outbox
	local   signin.PasswordChecker
	// life ends with the runtime, by end.
	life context.Context
	end  context.CancelFunc
}

// Destruct implements caddy.Destructor: the last configuration is gone.
func (r *runtime) Destruct() error {
	r.end()
	r.sessions.Close()
	return r.close()
}

// place is where the commands of whoever runs this server are done.
func (r *runtime) place() operation.Place {
	return operation.Place{Actor: people.Operator(), People: r.people, Store: r.store, Recorder: r.recorder, Ring: r.ring}
}

// errCreate says that there is no store yet and that this caller makes none.
var errCreate = errors.New("there is no store yet")

// open gives the app its runtime, from the pool or new. Sites call it at
// their first request if they start before the app does.
func (a *App) open(ctx context.Context) (*runtime, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.runtime != nil {
		return a.runtime, nil
	}
	if a.stopped {
		return nil, errors.New("stepgate: this configuration is no longer in force")
	}
	a.key = poolKey{a.Store.Driver, a.Store.Path, a.Store.DSN, a.KeyFile}
	value, loaded, err := pool.LoadOrNew(a.key, func() (caddy.Destructor, error) {
		return a.newRuntime(ctx, true)
	})
	if err != nil {
		return nil, fmt.Errorf("stepgate: %w", err)
	}
	// A copy of its own, so that Stop can tell this configuration's from the
	// next one's; everything in it is shared.
	r := *value.(*runtime)
	r.people = a.peopleOf(&r)
	if loaded {
		r.sessions.SetLimits(a.limits())
	} else {
		go r.outbox.Run(r.life)
	}
	a.unsend = r.outbox.Use(a.senders)
	if r.factors, err = r.offer(a); err != nil {
		_, release := pool.Delete(a.key)
		return nil, errors.Join(fmt.Errorf("stepgate: %w", err), release)
	}
	a.runtime = &r
	return a.runtime, nil
}

// openPlace opens the store for a command, outside of a running gateway.
func (a *App) openPlace(ctx context.Context, mayCreate bool) (operation.Place, func() error, error) {
	r, err := a.newRuntime(ctx, mayCreate)
	if err != nil {
		return operation.Place{}, nil, err
	}
	return r.place(), r.Destruct, nil
}

func (a *App) limits() session.Limits {
	return session.Limits{Idle: time.Duration(a.Session.Idle), Absolute: time.Duration(a.Session.Absolute), Grace: time.Duration(a.StoreGrace)}
}

func (a *App) newRuntime(ctx context.Context, mayCreate bool) (*runtime, error) {
	ring, db, err := a.openStore(ctx, mayCreate)
	if err != nil {
		return nil, err
	}
	r := &runtime{storeName: a.Store.name(), store: db, ring: ring, turns: new(weld.Turns)}
	r.sessions = session.NewManager(db, ring.CookieKeys("session"), a.limits())
	r.sessions.Log = func(message string, err error) { a.log().Error(message, zap.Error(err)) }
	if err := r.sessions.Run(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	if err := r.wire(a); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	r.life, r.end = context.WithCancel(context.Background())
	go r.purgeEvery(r.life, 10*time.Minute, a.log())
	return r, nil
}

func (a *App) log() *zap.Logger {
	if a.logger == nil {
		return zap.NewNop()
	}
	return a.logger
}

// purgeEvery deletes what is over, now and then.
func (r *runtime) purgeEvery(ctx context.Context, every time.Duration, log *zap.Logger) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := r.store.Purge(ctx, time.Now()); err != nil && ctx.Err() == nil {
				log.Error("delete what is over", zap.Error(err))
			}
		}
	}
}

// name is the store without its secrets, for logs and for commands that ask
// whether a gateway uses the same one.
func (s *StoreConfig) name() string {
	if s.Driver == "sqlite" {
		if abs, err := filepath.Abs(s.Path); err == nil {
			return "sqlite " + abs
		}
		return "sqlite " + s.Path
	}
	// A digest tells stores apart without showing a password.
	sum := sha256.Sum256([]byte(s.DSN))
	return s.Driver + " " + hex.EncodeToString(sum[:6])
}

func (s *StoreConfig) defaultKeyFile() string {
	if s.Driver == "sqlite" {
		return filepath.Join(filepath.Dir(s.Path), "stepgate.key")
	}
	return dataPath("stepgate.key")
}

func dataPath(name string) string { return filepath.Join(caddy.AppDataDir(), "stepgate", name) }

// openStore opens key file and store together: a key is made only with a new
// store, and a store refuses keys that are not its own.
func (a *App) openStore(ctx context.Context, mayCreate bool) (*keys.Ring, *sqldb.DB, error) {
	exists, err := a.storeExists(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("store %s: %w", a.Store.name(), err)
	}
	if !exists && !mayCreate {
		return nil, nil, fmt.Errorf("store %s: %w; `stepgate user add` makes it", a.Store.name(), errCreate)
	}
	ring, err := a.openRing(exists)
	if err != nil {
		return nil, nil, fmt.Errorf("key_file: %w", err)
	}
	db, err := a.openDB(ctx, sqldb.Options{Ring: ring, Chain: audit.NewChain(ring)})
	if err != nil {
		return nil, nil, fmt.Errorf("store %s: %w", a.Store.name(), err)
	}
	if err := a.introduce(ctx, db, ring); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("key_file %s: %w", a.KeyFile, err), db.Close())
	}
	return ring, db, nil
}

func (a *App) storeExists(ctx context.Context) (bool, error) {
	if a.Store.Driver == "postgres" {
		return sqldb.PostgresExists(ctx, a.Store.DSN)
	}
	return sqldb.SQLiteExists(ctx, a.Store.Path)
}

func (a *App) openDB(ctx context.Context, o sqldb.Options) (*sqldb.DB, error) {
	if a.Store.Driver == "postgres" {
		return sqldb.OpenPostgres(ctx, a.Store.DSN, o)
	}
	return sqldb.OpenSQLite(ctx, a.Store.Path, o)
}

// openRing loads the key file. With a new store, and only then, a missing
// one is made.
func (a *App) openRing(storeExists bool) (*keys.Ring, error) {
	if _, err := os.Lstat(a.KeyFile); errors.Is(err, os.ErrNotExist) && !storeExists {
		if err := os.MkdirAll(filepath.Dir(a.KeyFile), 0o700); err != nil {
			return nil, err
		}
		return keys.Create(a.KeyFile, time.Now())
	}
	return keys.Load(a.KeyFile)
}

// introduce lets the store check the keys, and a new one remember them.
func (a *App) introduce(ctx context.Context, db *sqldb.DB, ring *keys.Ring) error {
	known, err := db.KeyChecks(ctx)
	if err != nil {
		return err
	}
	if err := ring.Knows(known); err != nil {
		return err
	}
	return db.SaveKeyChecks(ctx, ring.Checks())
}
