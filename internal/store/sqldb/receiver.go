package sqldb

import (
	"context"
	"fmt"
	"time"

	"github.com/stepgate/stepgate/internal/audit"
)

// HoldReceiver implements audit.Receivers.
func (db *DB) HoldReceiver(ctx context.Context, name, holder string, now, until time.Time) (seq int64, held bool, err error) {
	err = db.write(ctx, func(t *tx) error {
		_, err := t.q.exec(ctx, `INSERT INTO audit_receiver (name, seq, holder, until_at) VALUES ($1, 0, '', 0) ON CONFLICT DO NOTHING`, name)
		if err != nil {
			return err
		}
		seqs, err := list(ctx, t.q, value[int64],
			`UPDATE audit_receiver SET holder = $1, until_at = $2 WHERE name = $3 AND (holder = $1 OR until_at <= $4) RETURNING seq`,
			holder, instant(until), name, instant(now))
		if held = len(seqs) > 0; held {
			seq = seqs[0]
		}
		return err
	})
	if err != nil {
		return 0, false, fmt.Errorf("hold a receiver of the audit trail: %w", err)
	}
	return seq, held, nil
}

// MoveReceiver implements audit.Receivers.
func (db *DB) MoveReceiver(ctx context.Context, name, holder string, seq int64) error {
	err := db.write(ctx, func(t *tx) error {
		_, err := t.q.exec(ctx, `UPDATE audit_receiver SET seq = $1 WHERE name = $2 AND holder = $3 AND seq < $1`, seq, name, holder)
		return err
	})
	if err != nil {
		return fmt.Errorf("move a receiver of the audit trail: %w", err)
	}
	return nil
}

// ReceiversBehind implements audit.Receivers.
func (r reader) ReceiversBehind(ctx context.Context, seq int64, heldAfter time.Time) ([]audit.Behind, error) {
	all, err := list(ctx, r.q, func(rows row) (b audit.Behind, err error) {
		return b, rows.Scan(&b.Name, &b.Seq)
	}, `SELECT name, seq FROM audit_receiver WHERE seq < $1 AND until_at > $2 ORDER BY name`, seq, instant(heldAfter))
	if err != nil {
		return nil, fmt.Errorf("list receivers of the audit trail: %w", err)
	}
	return all, nil
}
