package sqldb

import (
	"context"
	"fmt"
	"time"

	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/keys"
)

// Keys implements store.Store. The opener gives the checks of those that are
// not retired to keys.Ring.Knows before it does anything else with the store.
func (db *DB) Keys(ctx context.Context) ([]keys.Known, error) {
	known, err := list(ctx, db.q, func(rows row) (k keys.Known, err error) {
		return k, rows.Scan(&k.Check, (*instant)(&k.UsedAt), (*instant)(&k.RetiredAt))
	}, `SELECT value, used_at, retired_at FROM key_check ORDER BY value`)
	if err != nil {
		return nil, fmt.Errorf("read key checks: %w", err)
	}
	return known, nil
}

// SaveKeys implements store.Store.
func (db *DB) SaveKeys(ctx context.Context, checks []string, primary string, now time.Time) error {
	return db.write(ctx, func(t *tx) error {
		for _, check := range checks {
			_, err := t.q.exec(ctx, `INSERT INTO key_check (value, used_at) VALUES ($1, $2) ON CONFLICT DO NOTHING`, check, instant(now))
			if err != nil {
				return fmt.Errorf("save key checks: %w", err)
			}
		}
		_, err := t.q.exec(ctx, `UPDATE key_check SET used_at = $1 WHERE value = $2 AND used_at < $1`, instant(now), primary)
		if err != nil {
			return fmt.Errorf("save key checks: %w", err)
		}
		return nil
	})
}

// RetireKeys implements store.Store.
func (db *DB) RetireKeys(ctx context.Context, checks []string, unusedSince, now time.Time, event audit.Event) error {
	return db.update(ctx, func(t *tx) error {
		for _, check := range checks {
			n, err := t.q.exec(ctx, `UPDATE key_check SET retired_at = $1 WHERE value = $2 AND retired_at = 0 AND used_at <= $3`,
				instant(now), check, instant(unusedSince))
			if err != nil {
				return fmt.Errorf("retire keys: %w", err)
			}
			if n == 0 {
				return fmt.Errorf("retire keys: %w", keys.ErrInUse)
			}
		}
		_, err := t.AppendEvent(ctx, event)
		return err
	})
}

// noteUse is the part of a migration that SQL cannot do: nobody knows since
// when keys have not been used, so they were until now.
func noteUse(ctx context.Context, q querier) error {
	_, err := q.exec(ctx, `UPDATE key_check SET used_at = $1`, instant(time.Now()))
	return err
}
