package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"github.com/stepgate/stepgate/internal/telemetry"
)

// querier runs statements: in a pool of connections or in a transaction.
type querier interface {
	// exec returns how many rows were affected.
	exec(ctx context.Context, query string, args ...any) (int64, error)
	// each calls take for every row of the answer, which must only scan it.
	each(ctx context.Context, take func(row) error, query string, args ...any) error
	// later is exec for what nobody waits for: in a transaction it may be sent
	// with the statement behind it or with the end, whose error is then its own.
	later(ctx context.Context, query string, args ...any) error
	// soon is each for an answer that may come, as later's, with that of the
	// statement behind it.
	soon(ctx context.Context, take func(row) error, query string, args ...any) error
}

// row is one of an answer, as its driver gives it.
type row interface{ Scan(to ...any) error }

// list reads all rows. What cannot be kept cannot be found either.
func list[T any](ctx context.Context, q querier, scan func(row) (T, error), query string, args ...any) ([]T, error) {
	var all []T
	err := q.each(ctx, func(rows row) error {
		one, err := scan(rows)
		all = append(all, one)
		return err
	}, query, args...)
	if errors.Is(err, errUnstorable) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return all, nil
}

// one reads the first row, or returns none where there is no row.
func one[T any](ctx context.Context, q querier, none error, scan func(row) (T, error), query string, args ...any) (T, error) {
	var zero T
	all, err := list(ctx, q, scan, query, args...)
	if err != nil {
		return zero, err
	}
	if len(all) == 0 {
		return zero, none
	}
	return all[0], nil
}

// value scans a row of one column.
func value[T any](rows row) (T, error) {
	var v T
	err := rows.Scan(&v)
	return v, err
}

// handle is the part of sql.DB and sql.Tx that is used.
type handle interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func execOn(ctx context.Context, h handle, query string, args []any) (int64, error) {
	result, err := h.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

func eachOn(ctx context.Context, h handle, take func(row) error, query string, args []any) error {
	rows, err := h.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := take(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// pool is a querier for reading outside a transaction.
type pool struct {
	db *sql.DB
	// present tells whether the store is still the one that was opened.
	present func() error
	timeout time.Duration // of one read; 0 for none
	watch   Watch
	// lost tells whether an error is that of a connection that was gone before
	// it was used, and stale is how many of them there may be. What has read
	// nothing yet is then read by another. Default: none is lost.
	lost  func(error) bool
	stale int
	// spell, where it is set, is how the engine is told a query.
	spell func(query string) string
	// planned, where it is set, is what goes before the arguments of the queries
	// in it.
	planned map[string]any
}

func (p *pool) ready(args []any) error {
	if err := p.present(); err != nil {
		return err
	}
	return allStorable(args)
}

func (p *pool) exec(ctx context.Context, query string, args ...any) (int64, error) {
	if err := p.ready(args); err != nil {
		return 0, err
	}
	return execOn(ctx, p.db, query, args)
}

func (p *pool) later(ctx context.Context, query string, args ...any) error {
	_, err := p.exec(ctx, query, args...)
	return err
}

func (p *pool) soon(ctx context.Context, take func(row) error, query string, args ...any) error {
	return p.each(ctx, take, query, args...)
}

func (p *pool) each(ctx context.Context, take func(row) error, query string, args ...any) error {
	if err := p.ready(args); err != nil {
		return err
	}
	if p.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, p.timeout)
		defer cancel()
	}
	if how, ok := p.planned[query]; ok {
		args = slices.Insert(args, 0, how)
	}
	if p.spell != nil {
		query = p.spell(query)
	}
	ctx, step := telemetry.Begin(ctx, "stepgate store read")
	began := time.Now()
	err := p.read(ctx, take, query, args)
	if p.watch.Took != nil {
		p.watch.Took("read", time.Since(began))
	}
	step.End(err)
	return err
}

func (p *pool) read(ctx context.Context, take func(row) error, query string, args []any) error {
	begun := false
	first := func(rows row) error {
		begun = true
		return take(rows)
	}
	for left := p.stale; ; left-- {
		err := eachOn(ctx, p.db, first, query, args)
		if err == nil || begun || left <= 0 || !p.lost(err) {
			return err
		}
	}
}

// ErrClosed says that the store has been closed.
var ErrClosed = errors.New("sqldb: store closed")
