package sqldb

import (
	"context"
	"errors"
	"fmt"

	"github.com/stepgate/stepgate/internal/session"
)

const moveHead = `UPDATE feed_head SET seq = seq + $1 RETURNING seq`

// publish adds the transaction's changes to the feed. Moving the head keeps
// every other transaction that has changes waiting until this one has
// committed, so a reader that has seen a number has seen all below it.
func (t *tx) publish(ctx context.Context) error {
	if len(t.changes) == 0 {
		return nil
	}
	n, moved := len(t.changes), false
	err := t.q.soon(ctx, func(row) error {
		moved = true
		return nil
	}, t.moveHead, n)
	if err != nil {
		return fmt.Errorf("move the feed's head: %w", err)
	}
	for i, c := range t.changes {
		err := t.q.later(ctx, `INSERT INTO feed_change (seq, kind, name, at)
			VALUES ((SELECT seq FROM feed_head) - CAST($1 AS BIGINT), $2, $3, $4)`,
			n-1-i, string(c.Kind), c.Key, instant(t.db.now()))
		if err != nil {
			return fmt.Errorf("add to the feed: %w", err)
		}
	}
	if err := t.st.flush(ctx); err != nil {
		return fmt.Errorf("add to the feed: %w", err)
	}
	if !moved {
		return errNoHead
	}
	return nil
}

var errNoHead = errors.New("sqldb: the feed has no head")

// Changes implements session.Store. The newest seq may be lower than the one
// asked about, where a database was brought back from a backup. On SQLite it
// is an error when the file is no longer the one that was opened.
func (r reader) Changes(ctx context.Context, seq int64) ([]session.Change, int64, error) {
	if seq < 0 {
		head, err := one(ctx, r.q, errNoHead, value[int64], `SELECT seq FROM feed_head`)
		if err != nil {
			return nil, 0, fmt.Errorf("read the feed's head: %w", err)
		}
		return nil, head, nil
	}
	var changes []session.Change
	head, found := int64(0), false
	err := r.q.each(ctx, func(rows row) error {
		var c session.Change
		var kind string
		found = true
		if err := rows.Scan(&head, &c.Seq, &kind, &c.Key); err != nil {
			return err
		}
		if c.Kind = session.ChangeKind(kind); kind != "" {
			changes = append(changes, c)
		}
		return nil
	}, `SELECT h.seq, COALESCE(c.seq, 0), COALESCE(c.kind, ''), COALESCE(c.name, '')
		FROM feed_head h LEFT JOIN feed_change c ON c.seq > $1 ORDER BY c.seq`, seq)
	if err == nil && !found {
		err = errNoHead
	}
	if err != nil {
		return nil, 0, fmt.Errorf("read the feed: %w", err)
	}
	return changes, head, nil
}
