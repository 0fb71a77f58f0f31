package sqldb

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"
)

//go:embed migrations
var migrations embed.FS

// steps are the embedded migrations of a dialect.
func steps(dialect string) fs.FS {
	files, err := fs.Sub(migrations, "migrations/"+dialect)
	if err != nil {
		panic(err) // only for a malformed name
	}
	return files
}

// ErrNewer says that the store was written by a newer stepgate.
var ErrNewer = errors.New("sqldb: the store is newer than this program")

// migrator brings a schema up to date, one numbered file after the other,
// each in a transaction of its own. There is no way back.
type migrator struct {
	db *sql.DB
	// files has the steps, NNNN_name.sql.
	files fs.FS
	// fill has what is done after a step, by its name, where SQL cannot.
	fill map[string]func(ctx context.Context, q querier) error
	// lock keeps other nodes from doing the same at the same time.
	lock func(ctx context.Context, q querier) error
}

func (m *migrator) run(ctx context.Context) error {
	steps, err := fs.Glob(m.files, "*.sql") // sorted
	if err != nil {
		return err
	}
	for {
		done, err := m.step(ctx, steps)
		if err != nil {
			return fmt.Errorf("migrate store: %w", err)
		}
		if done {
			return nil
		}
	}
}

// fills are those of the embedded migrations, of all dialects.
var fills = map[string]func(ctx context.Context, q querier) error{"0008_words.sql": fillWords, "0013_keys.sql": noteUse}

// step applies the next file, if there is one. The store must be reached
// before ctx ends; how long a step then takes turns on how much is kept.
func (m *migrator) step(ctx context.Context, steps []string) (done bool, err error) {
	if err := m.db.PingContext(ctx); err != nil {
		return false, err
	}
	ctx = context.WithoutCancel(ctx)
	tx, err := m.db.BeginTx(ctx, nil)
	if err != nil {
		return false, err
	}
	defer tx.Rollback() // nothing after the commit
	q := &statements{tx: tx}
	if err := m.lock(ctx, q); err != nil {
		return false, err
	}
	version, err := m.version(ctx, q)
	switch {
	case err != nil:
		return false, err
	case version >= unfinished:
		return false, ErrUnfinished
	case version > len(steps):
		return true, bears(ctx, q, version, len(steps))
	case version == len(steps):
		return true, nil
	}
	text, err := fs.ReadFile(m.files, steps[version])
	if err != nil {
		return false, err
	}
	if _, err := q.exec(ctx, string(text)); err != nil {
		return false, fmt.Errorf("%s: %w", steps[version], err)
	}
	if fill := m.fill[steps[version]]; fill != nil {
		if err := fill(ctx, q); err != nil {
			return false, fmt.Errorf("%s: %w", steps[version], err)
		}
	}
	_, err = q.exec(ctx, `INSERT INTO stepgate_migration (version, applied_at) VALUES ($1, $2)`, version+1, instant(time.Now()))
	if err != nil {
		return false, err
	}
	if known, stated := oldestProgram(text); stated {
		if _, err := q.exec(ctx, `UPDATE stepgate_migration SET oldest = $1 WHERE version = $2`, known, version+1); err != nil {
			return false, err
		}
	}
	return false, tx.Commit()
}

// oldestLine begins a step that programs which do not know it can work on: it
// only adds, and what it adds has defaults that are right. The number is the
// schema that such a program knows at least.
const oldestLine = "-- oldest program: "

func oldestProgram(step []byte) (schema int, stated bool) {
	first, _, _ := strings.Cut(string(step), "\n")
	text, stated := strings.CutPrefix(first, oldestLine)
	if !stated {
		return 0, false
	}
	schema, err := strconv.Atoi(text)
	return schema, err == nil
}

// bears tells, by ErrNewer, whether a program that knows fewer steps than the
// store has may work on it: each step that it does not know must say so.
func bears(ctx context.Context, q querier, version, known int) error {
	refusing, err := list(ctx, q, value[int],
		`SELECT version FROM stepgate_migration WHERE version > $1 AND (oldest = 0 OR oldest > $1) ORDER BY version`, known)
	if err != nil || len(refusing) == 0 {
		return err
	}
	return fmt.Errorf("%w: it has schema %d, this program knows up to %d and cannot work on what step %d has changed; run the newer program or restore an older backup",
		ErrNewer, version, known, refusing[0])
}

func (m *migrator) version(ctx context.Context, q querier) (int, error) {
	_, err := q.exec(ctx,
		`CREATE TABLE IF NOT EXISTS stepgate_migration (version INTEGER NOT NULL PRIMARY KEY, applied_at BIGINT NOT NULL)`)
	if err != nil {
		return 0, err
	}
	return one(ctx, q, sql.ErrNoRows, value[int], `SELECT COALESCE(MAX(version), 0) FROM stepgate_migration`)
}
