package sqldb

import (
	"context"
	"database/sql"
	"database/sql/driver"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// statements is a querier in a write transaction. After the first statement
// that failed it runs no other: PostgreSQL would not, and on SQLite the
// transaction may be gone.
type statements struct {
	tx *sql.Tx
	// under, where it is set, is what statements run under once begun, in place
	// of the caller's context: in a transaction that others share one that is
	// interrupted would take their changes along.
	under context.Context
	// begins, where it is set, is told of each statement before it.
	begins func()
	failed error
	// spell, where it is set, is how the engine is told a statement.
	spell func(query string) string

	// conn, where it is set, is PostgreSQL's connection of tx. All that has been
	// queued is sent together once somebody waits for an answer.
	conn   *sql.Conn
	queued *pgx.Batch
	// asked is set while an answer is among what is queued.
	asked bool
	// sent is set once the server has been sent anything.
	sent bool
}

func (s *statements) exec(ctx context.Context, query string, args ...any) (int64, error) {
	ctx, err := s.begin(ctx, args)
	if err != nil {
		return 0, err
	}
	if s.conn == nil {
		var n int64
		n, s.failed = execOn(ctx, s.tx, s.spelt(query), args)
		return n, s.failed
	}
	queued, err := s.queue(query, args)
	if err != nil {
		return 0, err
	}
	var n int64
	queued.Exec(func(done pgconn.CommandTag) error {
		n = done.RowsAffected()
		return nil
	})
	err = s.flush(ctx)
	return n, err
}

func (s *statements) each(ctx context.Context, take func(row) error, query string, args ...any) error {
	if err := s.soon(ctx, take, query, args...); err != nil {
		return err
	}
	return s.flush(ctx)
}

func (s *statements) soon(ctx context.Context, take func(row) error, query string, args ...any) error {
	ctx, err := s.begin(ctx, args)
	if err != nil {
		return err
	}
	if s.conn == nil {
		s.failed = eachOn(ctx, s.tx, take, s.spelt(query), args)
		return s.failed
	}
	queued, err := s.queue(query, args)
	if err != nil {
		return err
	}
	s.asked = true
	queued.Query(func(rows pgx.Rows) error {
		for rows.Next() {
			if err := take(rows); err != nil {
				return err
			}
		}
		return rows.Err()
	})
	return nil
}

func (s *statements) later(ctx context.Context, query string, args ...any) error {
	if s.conn == nil {
		_, err := s.exec(ctx, query, args...)
		return err
	}
	if _, err := s.begin(ctx, args); err != nil {
		return err
	}
	_, err := s.queue(query, args)
	return err
}

func (s *statements) spelt(query string) string {
	if s.spell == nil {
		return query
	}
	return s.spell(query)
}

// queue has a statement sent with the next that is waited for.
func (s *statements) queue(query string, args []any) (*pgx.QueuedQuery, error) {
	plain := make([]any, len(args))
	for i, arg := range args {
		plain[i] = arg
		if valuer, ok := arg.(driver.Valuer); ok {
			value, err := valuer.Value()
			if err != nil {
				return nil, err
			}
			plain[i] = value
		}
	}
	if s.queued == nil {
		s.queued = &pgx.Batch{}
	}
	return s.queued.Queue(query, plain...), nil
}

// flush sends what is queued, in one round trip.
func (s *statements) flush(ctx context.Context) error {
	batch := s.queued
	if batch == nil || s.failed != nil {
		return s.failed
	}
	if s.under != nil {
		ctx = s.under
	}
	if s.begins != nil {
		s.begins()
	}
	s.queued, s.asked, s.sent = nil, false, true
	s.failed = s.conn.Raw(func(raw any) error {
		conn := raw.(*stdlib.Conn).Conn()
		if conn.PgConn().TxStatus() != 'T' { // given up meanwhile, because it took too long
			return sql.ErrTxDone
		}
		return conn.SendBatch(ctx, batch).Close()
	})
	return s.failed
}

func (s *statements) begin(ctx context.Context, args []any) (context.Context, error) {
	if err := allStorable(args); err != nil {
		return ctx, err
	}
	if s.failed == nil {
		s.failed = ctx.Err()
	}
	if s.under != nil {
		ctx = s.under
	}
	if s.begins != nil {
		s.begins()
	}
	return ctx, s.failed
}
