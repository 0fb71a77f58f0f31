package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/stepgate/stepgate/internal/kept"
)

// Errors of Copy. What a caller does with each is in its text.
var (
	// ErrNoStore says that there is no store to copy.
	ErrNoStore = errors.New("there is no store")
	// ErrInUse says that the target is a store, and not as the source is.
	ErrInUse = errors.New("it is a store already: one that a gateway has used, or a finished copy from which FROM differs by now; name a new file or an empty schema")
	// ErrFinished says that the target is a copy of the source that was finished
	// before, and that both are still the same.
	ErrFinished = errors.New("it is a finished copy of FROM already, and has every row of it: nothing is left to do; name it in the configuration, with the same key file, and start")
	// ErrUnfinished says that a store is a copy that was not finished.
	ErrUnfinished = errors.New("sqldb: the store is a copy that was not finished; run `stepgate store copy` again")
	// ErrOlder says that a store was written by an older stepgate.
	ErrOlder = errors.New("it was written by an older version; start this version of the gateway on it once")
	// ErrChanged says that the source was written to while it was copied.
	ErrChanged = errors.New("it was written to while it was copied; stop the gateways that use it and copy again: what is there already is not copied twice")
)

// unfinished stands among the migrations of a copy until it is finished: no
// gateway, of any version, starts on it.
const unfinished = 1 << 30

// batchRows is how many rows one statement writes, and one transaction keeps.
const batchRows = 100

// Copy brings the store at to to the state of the one at from, of either
// dialect, and then compares the two row by row. What is sealed stays sealed
// by the keys that it was sealed by: both stores are of one key file. The
// source is only read. A copy that was interrupted goes on where it ended; a
// gateway refuses the target until then. progress is called with a table's name
// and how many rows it has, once that is compared.
func Copy(ctx context.Context, from, to Place, progress func(table string, rows int64)) error {
	tables, err := schema(ctx)
	if err != nil {
		return err
	}
	source, err := from.source(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	defer source.close()
	target, err := to.target(ctx)
	if errors.Is(err, ErrInUse) {
		err = to.compare(ctx, source, tables)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", to, err)
	}
	defer target.close()
	if err := copyTables(ctx, source, target, tables); err != nil {
		return fmt.Errorf("copy %s to %s: %w", from, to, err)
	}
	counts, err := compareTables(ctx, source, target, tables)
	if err != nil {
		return fmt.Errorf("compare %s with %s: %w", from, to, err)
	}
	if !from.postgres {
		err = copyBodies(ctx, bodiesOf(from.at), target)
	}
	if err == nil {
		err = target.finish(ctx)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", to, err)
	}
	for i, t := range tables {
		progress(t.name, counts[i])
	}
	return nil
}

// copyTables writes what the target lacks or has otherwise, parents first,
// and then takes away what the source does not have, children first.
func copyTables(ctx context.Context, source, target *side, tables []table) error {
	pair, err := begin(ctx, source, target)
	if err != nil {
		return err
	}
	defer pair.end()
	for _, t := range tables {
		w := writer{side: target, table: t}
		err := pair.walk(ctx, t, func(from, to []any) error {
			switch {
			case to == nil:
				return w.insert(ctx, from)
			case from == nil || sameRow(from, to):
				return nil
			}
			return w.update(ctx, from)
		})
		if err := errors.Join(err, w.flush(ctx)); err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
	}
	for _, t := range slices.Backward(tables) {
		w := writer{side: target, table: t}
		err := pair.walk(ctx, t, func(from, to []any) error {
			if from != nil {
				return nil
			}
			return w.remove(ctx, to)
		})
		if err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
	}
	return nil
}

// copyBodies brings what lies in files beside an SQLite store into the table of
// the target, where every store looks first. A copy that goes on after it was
// interrupted takes it away before, as rows that the source does not have.
func copyBodies(ctx context.Context, from *bodies, target *side) error {
	ids, err := from.all()
	if err != nil || len(ids) == 0 {
		return err
	}
	held, err := list(ctx, target.querier(), value[kept.ID], `SELECT id FROM kept_request WHERE stage <> $1`, keptWriting)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if !slices.Contains(held, id) {
			continue
		}
		chunks, err := from.count(id)
		for seq := 0; seq < chunks && err == nil; seq++ {
			var sealed []byte
			if sealed, err = from.read(id, seq); err == nil {
				_, err = target.db.ExecContext(ctx, `INSERT INTO kept_chunk (request, seq, sealed_bytes) VALUES ($1, $2, $3)`, string(id), seq, sealed)
			}
		}
		if err != nil {
			return fmt.Errorf("body of a kept request: %w", err)
		}
	}
	return nil
}

// compare tells what a store is that cannot be copied to: ErrFinished or
// ErrInUse. It is only read. Bodies of kept requests, which an SQLite store may
// have in files and a copy has in its table, are left out.
func (p Place) compare(ctx context.Context, source *side, tables []table) error {
	target, err := p.source(ctx)
	if err != nil {
		return err
	}
	defer target.close()
	rows := slices.DeleteFunc(slices.Clone(tables), func(t table) bool { return t.name == "kept_chunk" })
	switch _, err = compareTables(ctx, source, target, rows); {
	case err == nil:
		return ErrFinished
	case errors.Is(err, ErrChanged):
		return ErrInUse
	}
	return err
}

// compareTables counts the rows of each table, which must be the same ones.
func compareTables(ctx context.Context, source, target *side, tables []table) ([]int64, error) {
	pair, err := begin(ctx, source, target)
	if err != nil {
		return nil, err
	}
	defer pair.end()
	counts := make([]int64, len(tables))
	for i, t := range tables {
		err := pair.walk(ctx, t, func(from, to []any) error {
			if from == nil || to == nil || !sameRow(from, to) {
				return ErrChanged
			}
			counts[i]++
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", t.name, err)
		}
	}
	return counts, nil
}

// pair is what both stores held at one moment each.
type pair struct{ source, target snapshot }

type snapshot struct {
	*side
	tx *sql.Tx
}

func begin(ctx context.Context, source, target *side) (*pair, error) {
	a, err := source.snapshot(ctx)
	if err != nil {
		return nil, err
	}
	b, err := target.snapshot(ctx)
	if err != nil {
		return nil, errors.Join(err, a.tx.Rollback())
	}
	return &pair{a, b}, nil
}

func (p *pair) end() {
	p.source.tx.Rollback() // nothing was written in them
	p.target.tx.Rollback()
}

// walk goes through a table in both stores, in the order of its key. It gives
// each row of either, beside the other's of the same key or nil.
func (p *pair) walk(ctx context.Context, t table, each func(from, to []any) error) error {
	a, err := p.source.rows(ctx, t)
	if err != nil {
		return err
	}
	defer a.close()
	b, err := p.target.rows(ctx, t)
	if err != nil {
		return err
	}
	defer b.close()
	for a.row != nil || b.row != nil {
		from, to := a.row, b.row
		switch order := compareKeys(t, from, to); {
		case order < 0:
			to = nil
		case order > 0:
			from = nil
		}
		if err := each(from, to); err != nil {
			return err
		}
		if from != nil {
			err = a.next()
		}
		if to != nil {
			err = errors.Join(err, b.next())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// finish lets gateways start on the target.
func (s *side) finish(ctx context.Context) error {
	_, err := s.db.ExecContext(ctx, `DELETE FROM stepgate_migration WHERE version = $1`, unfinished)
	return err
}

// claim makes a new store a target, without the rows that a new store has of
// itself. What was claimed before is left as it is.
func (s *side) claim(ctx context.Context) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // nothing after the commit
	q := &statements{tx: tx}
	used, err := one(ctx, q, sql.ErrNoRows, value[int], `SELECT count(*) FROM key_check`)
	if err != nil {
		return err
	}
	if used > 0 {
		return ErrInUse
	}
	for _, statement := range []string{`DELETE FROM organisation`, `DELETE FROM feed_head`} {
		if _, err := q.exec(ctx, statement); err != nil {
			return err
		}
	}
	if _, err := q.exec(ctx, `INSERT INTO stepgate_migration (version, applied_at) VALUES ($1, $2)`, unfinished, instant(time.Now())); err != nil {
		return err
	}
	return tx.Commit()
}
