package sqldb

import (
	"context"
	"time"

	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/keys"
	"github.com/stepgate/stepgate/internal/store"
	"github.com/stepgate/stepgate/internal/telemetry"
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
	// Watch is told what the store does; the zero value tells nobody.
	Watch Watch
}

// Watch is who watches a store from outside. Its functions are called from any
// goroutine and must not block; nil ones are not.
type Watch struct {
	// Took is told how long a "read" outside of transactions or a "write", from
	// the wait for its turn to the end of its commit, has taken.
	Took func(kind string, d time.Duration)
	// Kept is told of an audit event once it survives a crash.
	Kept func(audit.Event)
}

// DB is a store. It is safe for concurrent use. Get one from OpenSQLite or
// OpenPostgres.
type DB struct {
	reader
	chain  *audit.Chain
	now    func() time.Time
	watch  Watch
	engine engine
	bodies *bodies // nil where all of a kept request is in the database
}

// engine is what the dialects do each in their own way.
type engine interface {
	// write runs change in a write transaction: it commits if change returns
	// nil and rolls back otherwise, also when it panics. It returns when the
	// commit is durable, or, of a lazy one, as durable as the next that is not.
	// Errors of change come back as they are.
	write(ctx context.Context, how manner, change func(*tx) error) error
	// listen is session.Store's Listen.
	listen(ctx context.Context, heard func()) error
	close() error
}

// manner is how a change is written.
type manner int

const (
	// alone is beside other changes, those of other accounts.
	alone manner = iota
	// lazily is alone, and waits for no disk.
	lazily
	// inTurn is before or behind every other one that is inTurn, on all nodes.
	inTurn
	// byItself is alone, and shares its transaction with nobody.
	byItself
)

var _ store.Store = (*DB)(nil)

func newDB(o Options, q querier) *DB {
	db := &DB{reader: reader{q: q, ring: o.Ring}, chain: o.Chain, now: o.Now, watch: o.Watch}
	if db.now == nil {
		db.now = time.Now
	}
	return db
}

// write runs change in a transaction of its own, or in the one that ctx comes
// from (Answer); there an error of change has to become one of that.
func (db *DB) write(ctx context.Context, change func(*tx) error) error {
	return db.commit(ctx, alone, change)
}

// writeLazily is write for what is worth nothing before something else is
// written, by write, behind it: a power cut may take it as long as that is not
// there. The disk is not waited for.
func (db *DB) writeLazily(ctx context.Context, change func(*tx) error) error {
	return db.commit(ctx, lazily, change)
}

func (db *DB) commit(ctx context.Context, how manner, change func(*tx) error) error {
	if t := joined(ctx, db); t != nil {
		return change(t)
	}
	ctx, step := telemetry.Begin(ctx, "stepgate store write")
	began := time.Now()
	var last *tx // of the attempt that counts
	err := db.engine.write(ctx, how, func(t *tx) error {
		last = t
		return change(t)
	})
	if db.watch.Took != nil {
		db.watch.Took("write", time.Since(began))
	}
	if err == nil && last != nil && db.watch.Kept != nil {
		for _, e := range last.appended {
			db.watch.Kept(e)
		}
	}
	step.End(err)
	return err
}

// update is write for whatever may append an event, and for what holds more
// than one thing that others wait for: those who take turns never wait for one
// another crosswise.
func (db *DB) update(ctx context.Context, change func(*tx) error) error {
	return db.commit(ctx, inTurn, change)
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

// UpdateAtLength implements store.Store. On PostgreSQL others take their turns
// while long runs; on SQLite they wait, for there is one writer.
func (db *DB) UpdateAtLength(ctx context.Context, long, end func(store.Tx) error) error {
	return db.commit(ctx, byItself, func(t *tx) error {
		if err := long(t); err != nil {
			return err
		}
		if err := t.lock(ctx, lockUpdates); err != nil {
			return err
		}
		return end(t)
	})
}

// Listen implements session.Store.
func (db *DB) Listen(ctx context.Context, heard func()) error { return db.engine.listen(ctx, heard) }

// Close lets what has begun to write come to its end and then closes the
// store. Later writes get ErrClosed.
func (db *DB) Close() error { return db.engine.close() }
