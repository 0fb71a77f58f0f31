package sqldb

import (
	"context"
	"fmt"
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

// Purge implements store.Store.
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
		{"codes", `DELETE FROM one_time_code WHERE (account, session, purpose, factor) IN (
			SELECT account, session, purpose, factor FROM one_time_code WHERE expires_at <= $1 LIMIT $2)`, now.Add(-codeKept)},
		{"requests on phones", `DELETE FROM approval_request WHERE id IN (
			SELECT id FROM approval_request WHERE expires_at <= $1 LIMIT $2)`, now.Add(-approval.DeniedFor)},
		{"messages", `DELETE FROM outbox WHERE id IN (SELECT id FROM outbox WHERE expires_at <= $1 LIMIT $2)`, now},
		{"counters", `DELETE FROM throttle_counter WHERE name IN (
			SELECT name FROM throttle_counter WHERE at <= $1 AND until_at <= $1 LIMIT $2)`, now.Add(-throttle.Idle)},
		{"bonds", `DELETE FROM weld_bond WHERE expires_at <= $1 AND hash IN (
			SELECT hash FROM weld_bond WHERE expires_at <= $1 LIMIT $2)`, now},
		{"feed", `DELETE FROM feed_change WHERE seq IN (
			SELECT seq FROM feed_change WHERE at <= $1 ORDER BY seq LIMIT $2)`, now.Add(-feedKept)},
		{"ties", `DELETE FROM session_tie WHERE session IN (
			SELECT t.session FROM session_tie t WHERE $1 > CAST(0 AS BIGINT)
			AND NOT EXISTS (SELECT 1 FROM session s WHERE s.id = t.session)
			AND NOT EXISTS (SELECT 1 FROM session_tie o WHERE o.root = t.session) LIMIT $2)`, now},
	} {
		if err := db.purge(ctx, p.query, p.before); err != nil {
			return fmt.Errorf("purge %s: %w", p.what, err)
		}
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

// rest waits, unless ctx ends.
func rest(ctx context.Context, span time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(span):
		return nil
	}
}
