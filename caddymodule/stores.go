package caddymodule

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/stepgate/stepgate/caddymodule/block"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/keys"
	"github.com/stepgate/stepgate/internal/store/sqldb"
)

// errCreate says that there is no store yet and that this caller makes none.
var errCreate = errors.New("there is no store yet")

// storeDriver is what a kind of database is to the gateway.
type storeDriver struct {
	name string
	// read takes what follows its name in the Caddyfile.
	read func(s *StoreConfig, d *caddyfile.Dispenser) error
	// complete sets defaults, check says what is missing.
	complete func(*StoreConfig)
	check    func(*StoreConfig) error
	// label tells stores of a kind apart, without secrets.
	label func(*StoreConfig) string
	// keyFile is where the keys are unless the configuration says.
	keyFile func(*StoreConfig) string
	exists  func(context.Context, *StoreConfig) (bool, error)
	open    func(context.Context, *StoreConfig, sqldb.Options) (*sqldb.DB, error)
	// at is where a copy is read from or written to.
	at func(*StoreConfig) sqldb.Place
}

// storeDrivers is the table of them, the default first.
var storeDrivers = []storeDriver{{
	name: "sqlite",
	read: func(s *StoreConfig, d *caddyfile.Dispenser) error {
		if d.NextArg() {
			s.Path = block.Beside(d, d.Val())
		}
		return nil
	},
	complete: func(s *StoreConfig) {
		if s.Path == "" {
			s.Path = dataPath("stepgate.db")
		}
	},
	check: func(*StoreConfig) error { return nil },
	label: func(s *StoreConfig) string {
		if abs, err := filepath.Abs(s.Path); err == nil {
			return abs
		}
		return s.Path
	},
	keyFile: func(s *StoreConfig) string { return filepath.Join(filepath.Dir(s.Path), "stepgate.key") },
	exists:  func(ctx context.Context, s *StoreConfig) (bool, error) { return sqldb.SQLiteExists(ctx, s.Path) },
	open: func(ctx context.Context, s *StoreConfig, o sqldb.Options) (*sqldb.DB, error) {
		return sqldb.OpenSQLite(ctx, s.Path, o)
	},
	at: func(s *StoreConfig) sqldb.Place { return sqldb.SQLiteAt(s.Path) },
}, {
	name: "postgres",
	read: func(s *StoreConfig, d *caddyfile.Dispenser) error {
		if !d.NextArg() {
			return d.Err("store postgres: expected a connection string, such as {env.STEPGATE_DSN}")
		}
		s.DSN = d.Val()
		return nil
	},
	complete: func(*StoreConfig) {},
	check: func(s *StoreConfig) error {
		if s.DSN == "" {
			return errors.New("store postgres: the connection string is empty; give it as in `store postgres {env.STEPGATE_DSN}`")
		}
		if err := sqldb.CheckDSN(s.DSN); err != nil {
			return fmt.Errorf("store postgres: %w", err)
		}
		return nil
	},
	label: func(s *StoreConfig) string {
		// A digest tells stores apart without showing a password.
		sum := sha256.Sum256([]byte(s.DSN))
		return hex.EncodeToString(sum[:6])
	},
	keyFile: func(*StoreConfig) string { return dataPath("stepgate.key") },
	exists:  func(ctx context.Context, s *StoreConfig) (bool, error) { return sqldb.PostgresExists(ctx, s.DSN) },
	open: func(ctx context.Context, s *StoreConfig, o sqldb.Options) (*sqldb.DB, error) {
		return sqldb.OpenPostgres(ctx, s.DSN, o)
	},
	at: func(s *StoreConfig) sqldb.Place { return sqldb.PostgresAt(s.DSN) },
}}

func driverNames() []string {
	var names []string
	for _, d := range storeDrivers {
		names = append(names, d.name)
	}
	return names
}

// driver is the store's line of the table; nil for a word that is none.
func (s *StoreConfig) driver() *storeDriver {
	for i := range storeDrivers {
		if storeDrivers[i].name == s.Driver {
			return &storeDrivers[i]
		}
	}
	return nil
}

// name is the store without its secrets, for logs and for commands that ask
// whether a gateway uses the same one.
func (s *StoreConfig) name() string { return s.Driver + " " + s.driver().label(s) }

func dataPath(name string) string { return filepath.Join(caddy.AppDataDir(), "stepgate", name) }

// openedStore is a store with its keys, and what this node has seen of it.
type openedStore struct {
	ring *keys.Ring
	db   *sqldb.DB
	seen *mark
}

// openStore opens key file and store together: a key is made only with a new
// store, and a store refuses keys that are not its own.
func (a *App) openStore(ctx context.Context, mayCreate bool) (o openedStore, err error) {
	exists, err := a.Store.driver().exists(ctx, a.Store)
	if err != nil {
		return o, fmt.Errorf("store %s: %w", a.Store.name(), err)
	}
	if !exists && !mayCreate {
		return o, fmt.Errorf("store %s: %w; `stepgate user add` makes it", a.Store.name(), errCreate)
	}
	if o.ring, err = a.openRing(ctx, exists); err != nil {
		return o, fmt.Errorf("key_file: %w", err)
	}
	o.db, err = a.Store.driver().open(ctx, a.Store, sqldb.Options{Ring: o.ring, Chain: audit.NewChain(o.ring), Watch: watchStore()})
	if err != nil {
		return o, fmt.Errorf("store %s: %w", a.Store.name(), err)
	}
	if err := a.introduce(ctx, o.db, o.ring); err != nil {
		return o, errors.Join(fmt.Errorf("key_file %s: %w", a.keySource(), err), o.db.Close())
	}
	if o.seen, err = a.recognise(ctx, o.db, !exists); err != nil {
		return o, errors.Join(fmt.Errorf("store %s: %w", a.Store.name(), err), o.db.Close())
	}
	return o, nil
}

// keySource is where the keys come from.
func (a *App) keySource() keys.Source {
	return keys.Source{File: a.KeyFile, Env: a.KeyEnv, Command: a.KeyCommand}
}

// openRing loads the keys. With a new store, and only then, a missing file is
// made.
func (a *App) openRing(ctx context.Context, storeExists bool) (*keys.Ring, error) {
	if !a.keySource().IsFile() {
		// What this node has seen of the store is kept where the file would be.
		if err := os.MkdirAll(filepath.Dir(a.markFile()), 0o700); err != nil {
			return nil, err
		}
		return a.keySource().Load(ctx)
	}
	if _, err := os.Lstat(a.KeyFile); errors.Is(err, os.ErrNotExist) && !storeExists {
		if err := os.MkdirAll(filepath.Dir(a.KeyFile), 0o700); err != nil {
			return nil, err
		}
		return keys.Create(a.KeyFile, time.Now())
	}
	return a.keySource().Load(ctx)
}

// introduce lets the store check the keys, and a new one remember them.
func (a *App) introduce(ctx context.Context, db *sqldb.DB, ring *keys.Ring) error {
	known, err := db.Keys(ctx)
	if err != nil {
		return err
	}
	if err := ring.Knows(known); err != nil {
		return err
	}
	return db.SaveKeys(ctx, ring.Checks(), ring.Primary(), time.Now())
}
