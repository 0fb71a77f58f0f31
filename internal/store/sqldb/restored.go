package sqldb

import (
	"context"
	"fmt"
	"time"

	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/policy"
)

// LastEvent is the link of the newest record, the zero one for an empty trail.
func (db *DB) LastEvent(ctx context.Context) (audit.Link, error) {
	links, err := list(ctx, db.q, scanLink, `SELECT seq, hash FROM audit_event ORDER BY seq DESC LIMIT 1`)
	if err != nil || len(links) == 0 {
		return audit.Link{}, err
	}
	return links[0], nil
}

// EventLink is the link of a record, the zero one where it is not kept.
func (db *DB) EventLink(ctx context.Context, seq int64) (audit.Link, error) {
	links, err := list(ctx, db.q, scanLink, `SELECT seq, hash FROM audit_event WHERE seq = $1`, seq)
	if err != nil || len(links) == 0 {
		return audit.Link{}, err
	}
	return links[0], nil
}

// VoidSpendable implements store.Store. It is one transaction however much there
// is: in steps, what a step that was never reached would have voided could be
// spent after an interruption, by whoever a gateway serves meanwhile.
func (db *DB) VoidSpendable(ctx context.Context, now time.Time, event audit.Event) (codes int64, err error) {
	err = db.update(ctx, func(t *tx) error {
		for _, query := range []string{
			`DELETE FROM session_remains`, `DELETE FROM session_tie`, `DELETE FROM challenge_transaction`, `DELETE FROM one_time_code`, `DELETE FROM outbox`,
			`DELETE FROM weld_bond`, `DELETE FROM kept_chunk`, `DELETE FROM kept_request`,
			`DELETE FROM approval_request`,
		} {
			if _, err := t.q.exec(ctx, query); err != nil {
				return err
			}
		}
		ended, err := list(ctx, t.q, value[string], `DELETE FROM session RETURNING id`)
		if err != nil {
			return err
		}
		for _, id := range ended {
			t.tell(session.SessionChanged, id)
		}
		owners, err := list(ctx, t.q, value[string], `DELETE FROM credential WHERE factor IN ($1, $2) RETURNING account`,
			string(policy.BackupCode), string(policy.TemporaryCode))
		if err != nil {
			return err
		}
		codes = int64(len(owners))
		for _, owner := range owners {
			t.tell(session.AccountChanged, owner)
		}
		// RFC 6238 §5.2: a step that may have been used is not used again. The
		// clock of an authenticator may be one step ahead.
		_, err = t.q.exec(ctx, `UPDATE credential SET counter = $1 WHERE factor = $2 AND counter < $1`, now.Unix()/30+1, string(policy.TOTP))
		if err != nil {
			return err
		}
		event.Detail = append(event.Detail, audit.Field{Key: "sessions", Value: fmt.Sprint(len(ended))}, audit.Field{Key: "code_lists", Value: fmt.Sprint(codes)})
		_, err = t.AppendEvent(ctx, event)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("void what could have been spent: %w", err)
	}
	return codes, nil
}
