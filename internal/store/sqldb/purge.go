package sqldb

import (
	"context"
	"fmt"
	"time"

	"github.com/stepgate/stepgate/internal/throttle"
)

const (
	// feedKept is far longer than any node trusts its memory without having
	// heard from the store.
	feedKept = 24 * time.Hour
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
		{"sessions", `DELETE FROM session WHERE hash IN (SELECT hash FROM session WHERE ends_at <= $1 LIMIT $2)`, now},
		{"transactions", `DELETE FROM challenge_transaction WHERE id IN (
			SELECT id FROM challenge_transaction WHERE expires_at <= $1 LIMIT $2)`, now},
		{"counters", `DELETE FROM throttle_counter WHERE name IN (
			SELECT name FROM throttle_counter WHERE at <= $1 AND until_at <= $1 LIMIT $2)`, now.Add(-throttle.Idle)},
		{"feed", `DELETE FROM feed_change WHERE seq IN (
			SELECT seq FROM feed_change WHERE at <= $1 ORDER BY seq LIMIT $2)`, now.Add(-feedKept)},
	} {
		if err := db.purge(ctx, p.query, p.before); err != nil {
			return fmt.Errorf("purge %s: %w", p.what, err)
		}
	}
	return nil
}

func (db *DB) purge(ctx context.Context, query string, before time.Time) error {
	for {
		var gone int64
		err := db.write(ctx, func(t *tx) (err error) {
			gone, err = t.q.exec(ctx, query, instant(before), purgeRows)
			return err
		})
		if err != nil || gone < purgeRows {
			return err
		}
	}
}
