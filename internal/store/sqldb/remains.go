package sqldb

import (
	"context"
	"fmt"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/session"
)

func scanRemains(rows row) (left session.Remains, err error) {
	err = rows.Scan(&left.Account, &left.Site, (*instant)(&left.SeenAt), (*instant)(&left.EndsAt))
	return left, err
}

// Remains implements session.Store. A session that came to its end by itself
// still has its row; of one that was ended there is what endSession leaves.
func (r reader) Remains(ctx context.Context, h session.Hash) (session.Remains, error) {
	left, err := one(ctx, r.q, session.ErrNotFound, scanRemains,
		`SELECT s.account, s.site, s.seen_at, s.ends_at FROM (
			SELECT account, site, seen_at, ends_at FROM session WHERE hash = $1 UNION ALL
			SELECT account, site, seen_at, ends_at FROM session_remains WHERE hash = $1) s
		JOIN account a ON a.id = s.account WHERE a.suspended_at = 0`, h[:])
	if err != nil {
		return session.Remains{}, fmt.Errorf("read what is left of a session: %w", err)
	}
	return left, nil
}

// leaveRemains notes whose a session was that is about to be ended.
func (t *tx) leaveRemains(ctx context.Context, id session.ID) error {
	_, err := t.q.exec(ctx,
		`INSERT INTO session_remains (hash, account, site, seen_at, ends_at)
		SELECT hash, account, site, seen_at, ends_at FROM session WHERE id = $1`, string(id))
	return err
}

// forgetRemains forgets the sessions of an account that have ended.
func (t *tx) forgetRemains(ctx context.Context, owner account.ID) error {
	_, err := t.q.exec(ctx, `DELETE FROM session_remains WHERE account = $1`, string(owner))
	return err
}
