package sqldb

import (
	"context"
	"time"

	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/keys"
	"github.com/stepgate/stepgate/internal/store"
)

// Options are what a store needs besides its place. All fields are needed
// but Now.
type Options struct {
	// Ring seals what is kept.
	Ring *keys.Ring
	// Chain seals audit events.
	Chain *audit.Chain
	// Now is the clock of feed rows and of events without a time; nil is the
	// system's.
	Now func() time.Time
}

// DB is a store. It is safe for concurrent use. Get one from OpenSQLite or
// OpenPostgres.
type DB struct {
	reader
	chain  *audit.Chain
	now    func() time.Time
	engine engine
}

// engine is what the dialects do each in their own way.
type engine interface {
	// write runs change in a write transaction: it commits if change returns
	// nil and rolls back otherwise, also when it panics. It returns when the
	// commit is durable. Errors of change come back as they are.
	write(ctx context.Context, change func(*tx) error) error
	close() error
}

var _ store.Store = (*DB)(nil)

func newDB(o Options, q querier) *DB {
	db := &DB{reader: reader{q: q, ring: o.Ring}, chain: o.Chain, now: o.Now}
	if db.now == nil {
		db.now = time.Now
	}
	return db
}

func (db *DB) write(ctx context.Context, change func(*tx) error) error {
	return db.engine.write(ctx, change)
}

// update is write for whatever may append an event.
func (db *DB) update(ctx context.Context, change func(*tx) error) error {
	return db.write(ctx, func(t *tx) error {
		if err := t.lock(ctx, lockUpdates); err != nil {
			return err
		}
		return change(t)
	})
}

// Update implements store.Store. No two changes run at the same time, on all
// nodes of a store. After a statement that failed for a technical reason
// change gets that error from every other, and nothing is kept; the errors of
// package account leave the transaction usable. change must not call the
// store but through its Tx: on SQLite it would wait for itself. On PostgreSQL
// it may run again after a conflict. A panic in it rolls back and reaches the
// caller.
//
// A caller whose ctx ends while it waits gets the error of ctx, and change
// never runs. Once change has returned nil, Update waits for the commit
// whatever becomes of ctx: it never reports a failure for what was kept.
func (db *DB) Update(ctx context.Context, change func(store.Tx) error) error {
	return db.update(ctx, func(t *tx) error { return change(t) })
}

// Close lets what has begun to write come to its end and then closes the
// store. Later writes get ErrClosed.
func (db *DB) Close() error { return db.engine.close() }
