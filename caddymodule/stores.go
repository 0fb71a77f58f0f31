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

	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/keys"
	"github.com/stepgate/stepgate/internal/store/sqldb"
)

// errCreate says that there is no store yet and that this caller makes none.
var errCreate = errors.New("there is no store yet")

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
func (a *App) openStore(ctx context.Context, mayCreate bool) (*keys.Ring, *sqldb.DB, *mark, error) {
	exists, err := a.storeExists(ctx)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("store %s: %w", a.Store.name(), err)
	}
	if !exists && !mayCreate {
		return nil, nil, nil, fmt.Errorf("store %s: %w; `stepgate user add` makes it", a.Store.name(), errCreate)
	}
	ring, err := a.openRing(exists)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("key_file: %w", err)
	}
	db, err := a.openDB(ctx, sqldb.Options{Ring: ring, Chain: audit.NewChain(ring)})
	if err != nil {
		return nil, nil, nil, fmt.Errorf("store %s: %w", a.Store.name(), err)
	}
	if err := a.introduce(ctx, db, ring); err != nil {
		return nil, nil, nil, errors.Join(fmt.Errorf("key_file %s: %w", a.KeyFile, err), db.Close())
	}
	seen, err := a.recognise(ctx, db, !exists)
	if err != nil {
		return nil, nil, nil, errors.Join(fmt.Errorf("store %s: %w", a.Store.name(), err), db.Close())
	}
	return ring, db, seen, nil
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
