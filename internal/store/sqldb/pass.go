package sqldb

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/throttle"
)

// Pass implements ceremony.Store.
func (db *DB) Pass(ctx context.Context, p ceremony.Passed, now time.Time) (risen *session.Risen, err error) {
	err = db.update(ctx, func(t *tx) (err error) {
		if risen, err = t.pass(ctx, &p, now); err != nil {
			return err
		}
		return t.counters(ctx, p.Counters, func(counters []throttle.Counter) error {
			p.Settle(counters)
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("pass: %w", err)
	}
	return risen, nil
}

// pass keeps what a right answer brings, but for the counters.
func (t *tx) pass(ctx context.Context, p *ceremony.Passed, now time.Time) (risen *session.Risen, err error) {
	if risen, err = t.raiseSession(ctx, p.Raising); err != nil {
		return risen, err
	}
	if p.Transaction != "" {
		if err := t.RedeemTransaction(ctx, p.Transaction, now); err != nil {
			return risen, err
		}
	}
	if p.Earmark != nil {
		if _, err := t.openTransaction(ctx, *p.Earmark, now); err != nil {
			return risen, err
		}
	}
	return risen, t.note(ctx, p.Event, p.Messages)
}

// Answer implements ceremony.Store.
func (db *DB) Answer(ctx context.Context, a ceremony.Tried, now time.Time) (risen *session.Risen, err error) {
	err = db.update(ctx, func(t *tx) error {
		if err := t.foreseeRaising(ctx, a.Account, a.Session, now); err != nil {
			return err
		}
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
			if risen, err = t.pass(ctx, passed, now); err != nil {
				return err
			}
			passed.Settle(after)
		}
		return t.writeCounters(ctx, a.Counters, before, after)
	})
	if err != nil {
		return nil, fmt.Errorf("answer: %w", err)
	}
	return risen, nil
}

// joining is the key of the transaction that writes by a context belong to.
type joining struct{ db *DB }

// joined is the transaction of db that writes by ctx belong to, nil for none.
func joined(ctx context.Context, db *DB) *tx {
	t, _ := ctx.Value(joining{db}).(*tx)
	return t
}
