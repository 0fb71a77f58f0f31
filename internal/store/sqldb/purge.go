package sqldb

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/stepgate/stepgate/factors/approval"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/throttle"
)

const (
	// feedKept is far longer than any node trusts its memory without having
	// heard from the store.
	feedKept = 24 * time.Hour
	// codeKept is how long a code that is over still counts among those sent
	// in its ceremony, and is known as used.
	codeKept = 15 * time.Minute
	// purgeRows is how many rows go in one transaction, so that writers do
	// not wait long.
	purgeRows = 500
)

// Purge implements store.Store. What may be renewed under its key is looked at
// again where it is deleted: on PostgreSQL that waits for who renews it.
func (db *DB) Purge(ctx context.Context, now time.Time) error {
	for _, p := range []struct {
		what, query string
		before      time.Time
	}{
		{"sessions", `DELETE FROM session WHERE hash IN (SELECT hash FROM session WHERE ends_at <= $1 LIMIT $2)`, now.Add(-session.Remembered)},
		{"remains of sessions", `DELETE FROM session_remains WHERE hash IN (
			SELECT hash FROM session_remains WHERE ends_at <= $1 LIMIT $2)`, now.Add(-session.Remembered)},
		{"transactions", `DELETE FROM challenge_transaction WHERE id IN (
			SELECT id FROM challenge_transaction WHERE expires_at <= $1 LIMIT $2)`, now},
		{"codes", `DELETE FROM one_time_code WHERE expires_at <= $1 AND (account, session, purpose, factor) IN (
			SELECT account, session, purpose, factor FROM one_time_code WHERE expires_at <= $1 LIMIT $2)`, now.Add(-codeKept)},
		{"requests on phones", `DELETE FROM approval_request WHERE id IN (
			SELECT id FROM approval_request WHERE expires_at <= $1 LIMIT $2)`, now.Add(-approval.DeniedFor)},
		{"messages", `DELETE FROM outbox WHERE id IN (SELECT id FROM outbox WHERE expires_at <= $1 LIMIT $2)`, now},
		{"counters", `DELETE FROM throttle_counter WHERE at <= $1 AND until_at <= $1 AND name IN (
			SELECT name FROM throttle_counter WHERE at <= $1 AND until_at <= $1 LIMIT $2)`, now.Add(-throttle.Idle)},
		{"bonds", `DELETE FROM weld_bond WHERE expires_at <= $1 AND hash IN (
			SELECT hash FROM weld_bond WHERE expires_at <= $1 LIMIT $2)`, now},
		{"feed", `DELETE FROM feed_change WHERE at <= $1 AND seq IN (
			SELECT seq FROM feed_change ORDER BY seq LIMIT $2)`, now.Add(-feedKept)},
	} {
		if err := db.purge(ctx, p.query, p.before); err != nil {
			return fmt.Errorf("purge %s: %w", p.what, err)
		}
	}
	if err := db.purgeTies(ctx); err != nil {
		return fmt.Errorf("purge ties: %w", err)
	}
	if err := db.purgeKept(ctx, now); err != nil {
		return fmt.Errorf("purge kept requests: %w", err)
	}
	return nil
}

// purge goes in small steps and rests as long as it works, so that those who
// write meanwhile wait for one step at most, and get their share of the disk.
func (db *DB) purge(ctx context.Context, query string, before time.Time) error {
	for {
		var gone int64
		began := time.Now()
		err := db.write(ctx, func(t *tx) (err error) {
			gone, err = t.q.exec(ctx, query, instant(before), purgeRows)
			return err
		})
		if err != nil || gone < purgeRows {
			return err
		}
		if err := rest(ctx, time.Since(began)); err != nil {
			return err
		}
	}
}

// overTie says of a tie that its session is no more, and that none came of it.
const overTie = `NOT EXISTS (SELECT 1 FROM session s WHERE s.id = session_tie.session)
	AND NOT EXISTS (SELECT 1 FROM session_tie o WHERE o.root = session_tie.session)`

// purgeTies deletes ties that bind nothing. No index knows them, so that all
// are looked at, outside of transactions.
func (db *DB) purgeTies(ctx context.Context) error {
	for after := ""; ; {
		began := time.Now()
		var over []string
		last := ""
		err := db.q.each(ctx, func(rows row) error {
			var gone bool
			err := rows.Scan(&last, &gone)
			if gone {
				over = append(over, last)
			}
			return err
		}, `SELECT session, `+overTie+` FROM session_tie WHERE session > $1 ORDER BY session LIMIT $2`, after, tieRows)
		if err != nil || last == "" {
			return err
		}
		for some := range slices.Chunk(over, purgeRows) {
			if err := db.write(ctx, func(t *tx) error { return t.dropTies(ctx, some) }); err != nil {
				return err
			}
		}
		after = last
		if err := rest(ctx, time.Since(began)); err != nil {
			return err
		}
	}
}

// tieRows is how many ties are looked at together.
const tieRows = 2000

// dropTies deletes those of some ties that still bind nothing.
func (t *tx) dropTies(ctx context.Context, sessions []string) error {
	marks, args := among(nil, sessions)
	_, err := t.q.exec(ctx, `DELETE FROM session_tie WHERE session IN (`+marks+`) AND `+overTie, args...)
	return err
}

// rest waits, unless ctx ends.
func rest(ctx context.Context, span time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(span):
		return nil
	}
}
