package sqldb

import (
	"context"
	"database/sql"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/stepgate/stepgate/internal/throttle"
)

// Counters implements throttle.Store. No key may come twice. On PostgreSQL
// change may run again after a conflict, on counters read afresh.
func (db *DB) Counters(ctx context.Context, keys []throttle.Key, change func([]throttle.Counter) error) error {
	return db.write(ctx, func(t *tx) error { return t.counters(ctx, keys, change) })
}

func (t *tx) counters(ctx context.Context, keys []throttle.Key, change func([]throttle.Counter) error) error {
	before, err := t.readCounters(ctx, keys)
	if err != nil {
		return fmt.Errorf("read counters: %w", err)
	}
	after := slices.Clone(before)
	if err := change(after); err != nil {
		return err
	}
	return t.writeCounters(ctx, keys, before, after)
}

// writeCounters keeps what has become of counters.
func (t *tx) writeCounters(ctx context.Context, keys []throttle.Key, before, after []throttle.Counter) error {
	for i, key := range keys {
		if same(before[i], after[i]) {
			continue
		}
		if err := t.writeCounter(ctx, key, after[i]); err != nil {
			return fmt.Errorf("write counter: %w", err)
		}
	}
	return nil
}

// readCounters locks the keys in an order that all callers share.
func (t *tx) readCounters(ctx context.Context, keys []throttle.Key) ([]throttle.Counter, error) {
	var names []string
	for _, key := range keys {
		names = append(names, "counter "+hex.EncodeToString(key[:]))
	}
	slices.SortFunc(names, strings.Compare)
	for _, name := range names {
		if err := t.lock(ctx, name); err != nil {
			return nil, err
		}
	}
	counters := make([]throttle.Counter, len(keys))
	for i, key := range keys {
		found, err := list(ctx, t.q, scanCounter, `SELECT hits, at, until_at FROM throttle_counter WHERE name = $1`, key[:])
		if err != nil {
			return nil, err
		}
		if len(found) > 0 {
			counters[i] = found[0]
		}
	}
	return counters, nil
}

func scanCounter(rows *sql.Rows) (c throttle.Counter, err error) {
	err = rows.Scan(&c.Count, (*instant)(&c.At), (*instant)(&c.Until))
	return c, err
}

func (t *tx) writeCounter(ctx context.Context, key throttle.Key, c throttle.Counter) error {
	if same(c, throttle.Counter{}) {
		_, err := t.q.exec(ctx, `DELETE FROM throttle_counter WHERE name = $1`, key[:])
		return err
	}
	_, err := t.q.exec(ctx,
		`INSERT INTO throttle_counter (name, hits, at, until_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (name) DO UPDATE SET hits = excluded.hits, at = excluded.at, until_at = excluded.until_at`,
		key[:], c.Count, instant(c.At), instant(c.Until))
	return err
}

func same(a, b throttle.Counter) bool {
	return a.Count == b.Count && a.At.Equal(b.At) && a.Until.Equal(b.Until)
}
