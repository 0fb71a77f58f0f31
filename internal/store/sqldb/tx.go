package sqldb

import (
	"context"
	"fmt"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/keys"
	"github.com/stepgate/stepgate/internal/session"
)

// reader is everything that only reads, in a transaction or outside.
type reader struct {
	q    querier
	ring *keys.Ring
}

// tx is one caller's share of a write transaction. It implements store.Tx,
// and the verbs of DB are written with it. One goroutine uses it.
type tx struct {
	reader
	db *DB
	st *statements
	// lock makes others that name the same thing wait until this transaction
	// has ended. SQLite needs none: there is one writer.
	lock func(ctx context.Context, name string) error
	// moveHead is the statement that moves the feed's head by $1 and returns it.
	moveHead string
	// changes go into the feed when everything else has been done.
	changes []session.Change
	// tail is the last link of the audit trail, once this transaction knows it.
	tail *audit.Link
	// foreseen is the session that this transaction is about to raise.
	foreseen *foreseen
	// appended are the audit events of this transaction.
	appended []audit.Event
	told     map[session.Change]bool
}

// What is locked, always in this order: updates, then an account. Feed numbers
// come last, by the row lock on feed_head. Who holds more than one account or
// session holds updates first, and so does who changes counters. UpdateAtLength
// takes it behind rows that are new, for which others have to wait only where
// they make the same: PostgreSQL then ends the one or the other, which is tried
// again. The outbox and a code are locked in transactions of their own.
const lockUpdates = "updates"

func lockAccount(id account.ID) string { return "account " + string(id) }

func (db *DB) newTx(st *statements, lock func(context.Context, string) error, moveHead string) *tx {
	return &tx{reader: reader{q: st, ring: db.ring}, db: db, st: st, lock: lock, moveHead: moveHead}
}

// run lets change do its work and adds what it changed to the feed. On an
// error the engine rolls back.
func (t *tx) run(ctx context.Context, change func(*tx) error) error {
	if err := t.work(change); err != nil {
		return err
	}
	if err := t.publish(ctx); err != nil {
		return err
	}
	return t.st.flush(ctx)
}

// work is run without the feed.
func (t *tx) work(change func(*tx) error) error {
	if err := change(t); err != nil {
		return err
	}
	if t.st.failed != nil {
		return fmt.Errorf("a statement of this transaction failed: %w", t.st.failed)
	}
	return nil
}

// tell notes a change for the feed, once for each thing that changed.
func (t *tx) tell(kind session.ChangeKind, key string) {
	c := session.Change{Kind: kind, Key: key}
	if t.told[c] {
		return
	}
	if t.told == nil {
		t.told = map[session.Change]bool{}
	}
	t.told[c] = true
	t.changes = append(t.changes, c)
}
