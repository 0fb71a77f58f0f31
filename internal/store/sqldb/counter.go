package sqldb

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/stepgate/stepgate/internal/throttle"
)

// Counters implements throttle.Store. No key may come twice. On PostgreSQL
// change may run again after a conflict, on counters read afresh.
func (db *DB) Counters(ctx context.Context, keys []throttle.Key, change func([]throttle.Counter) error) error {
	return db.update(ctx, func(t *tx) error { return t.counters(ctx, keys, change) })
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

// writeCounters keeps what has become of counters, those that are to go and
// the others in one statement each.
func (t *tx) writeCounters(ctx context.Context, keys []throttle.Key, before, after []throttle.Counter) error {
	var gone, kept []any
	for i, key := range keys {
		switch c := after[i]; {
		case same(before[i], c):
		case same(c, throttle.Counter{}):
			gone = append(gone, key[:])
		default:
			kept = append(kept, key[:], c.Count, instant(c.At), instant(c.Until))
		}
	}
	var err error
	if len(gone) > 0 {
		err = t.q.later(ctx, `DELETE FROM throttle_counter WHERE name IN `+marks(1, len(gone)), gone...)
	}
	if err == nil && len(kept) > 0 {
		err = t.q.later(ctx, `INSERT INTO throttle_counter (name, hits, at, until_at) VALUES `+marks(4, len(kept))+`
			ON CONFLICT (name) DO UPDATE SET hits = excluded.hits, at = excluded.at, until_at = excluded.until_at`, kept...)
	}
	if err != nil {
		return fmt.Errorf("write counters: %w", err)
	}
	return nil
}

// marks are the places of n values: ($1, $2) as a list where a row has one of
// them, and ($1, $2), ($3, $4) as rows where it has more.
func marks(inRow, n int) string {
	var text strings.Builder
	for i := range n {
		switch {
		case i == 0:
			text.WriteString("($")
		case i%inRow == 0 && inRow > 1:
			text.WriteString("), ($")
		default:
			text.WriteString(", $")
		}
		text.WriteString(strconv.Itoa(i + 1))
	}
	text.WriteString(")")
	return text.String()
}

// readCounters needs no lock: whoever changes counters holds lockUpdates.
func (t *tx) readCounters(ctx context.Context, keys []throttle.Key) ([]throttle.Counter, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	var args []any
	for _, key := range keys {
		args = append(args, key[:])
	}
	counters := make([]throttle.Counter, len(keys))
	err := t.q.each(ctx, func(rows row) error {
		var name []byte
		var c throttle.Counter
		if err := rows.Scan(&name, &c.Count, (*instant)(&c.At), (*instant)(&c.Until)); err != nil {
			return err
		}
		for i, key := range keys {
			if bytes.Equal(key[:], name) {
				counters[i] = c
			}
		}
		return nil
	}, `SELECT name, hits, at, until_at FROM throttle_counter WHERE name IN `+marks(1, len(keys)), args...)
	return counters, err
}

func same(a, b throttle.Counter) bool {
	return a.Count == b.Count && a.At.Equal(b.At) && a.Until.Equal(b.Until)
}
