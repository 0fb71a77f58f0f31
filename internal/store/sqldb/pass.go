package sqldb

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/throttle"
)

// Pass implements ceremony.Store. What is locked last are the counters, which
// nobody holds who waits for anything else.
func (db *DB) Pass(ctx context.Context, p ceremony.Passed, now time.Time) error {
	err := db.update(ctx, func(t *tx) error {
		if err := t.pass(ctx, p, now); err != nil {
			return err
		}
		return t.counters(ctx, p.Counters, func(counters []throttle.Counter) error {
			p.Settle(counters)
			return nil
		})
	})
	if err != nil {
		return fmt.Errorf("pass: %w", err)
	}
	return nil
}

// pass keeps what a right answer brings, but for the counters.
func (t *tx) pass(ctx context.Context, p ceremony.Passed, now time.Time) error {
	if _, err := t.raiseSession(ctx, p.Raising); err != nil {
		return err
	}
	if p.Transaction != "" {
		if err := t.RedeemTransaction(ctx, p.Transaction, now); err != nil {
			return err
		}
	}
	if p.Earmark != nil {
		if _, err := t.openTransaction(ctx, *p.Earmark, now); err != nil {
			return err
		}
	}
	return t.note(ctx, p.Event, p.Messages)
}

// Answer implements ceremony.Store. It holds the counters while it waits for
// the account; who holds an account and waits for counters holds lockUpdates
// too, and that is here.
func (db *DB) Answer(ctx context.Context, a ceremony.Tried, now time.Time) error {
	err := db.update(ctx, func(t *tx) error {
		before, err := t.readCounters(ctx, a.Counters)
		if err != nil {
			return fmt.Errorf("read counters: %w", err)
		}
		after := slices.Clone(before)
		if err := a.Charge(after); err != nil {
			return err
		}
		passed, err := a.Compare(context.WithValue(ctx, joining{db}, t))
		if err != nil {
			return err
		}
		if passed != nil {
			if err := t.pass(ctx, *passed, now); err != nil {
				return err
			}
			passed.Settle(after)
		}
		return t.writeCounters(ctx, a.Counters, before, after)
	})
	if err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	return nil
}

// joining is the key of the transaction that writes by a context belong to.
type joining struct{ db *DB }

// joined is the transaction of db that writes by ctx belong to, nil for none.
func joined(ctx context.Context, db *DB) *tx {
	t, _ := ctx.Value(joining{db}).(*tx)
	return t
}
