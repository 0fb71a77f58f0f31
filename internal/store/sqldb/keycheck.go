package sqldb

import (
	"context"
	"fmt"
)

// KeyChecks returns the check values of all keys that ever wrote to the
// store, none for a new one. The opener gives them to keys.Ring.Knows before
// it does anything else with the store.
func (db *DB) KeyChecks(ctx context.Context) ([]string, error) {
	checks, err := list(ctx, db.q, value[string], `SELECT value FROM key_check ORDER BY value`)
	if err != nil {
		return nil, fmt.Errorf("read key checks: %w", err)
	}
	return checks, nil
}

// SaveKeyChecks adds check values to those that the store has, after the
// first opening and before a rotated key writes anything. None is ever taken
// away.
func (db *DB) SaveKeyChecks(ctx context.Context, checks []string) error {
	return db.write(ctx, func(t *tx) error {
		for _, check := range checks {
			_, err := t.q.exec(ctx, `INSERT INTO key_check (value) VALUES ($1) ON CONFLICT DO NOTHING`, check)
			if err != nil {
				return fmt.Errorf("save key checks: %w", err)
			}
		}
		return nil
	})
}
