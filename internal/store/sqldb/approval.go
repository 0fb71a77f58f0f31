package sqldb

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/factors/approval"
	"github.com/stepgate/stepgate/factors/delivery"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
)

func contentCell(r approval.Request) cell {
	return cell{"approval_request.sealed_content", []string{r.ID, string(r.Account), r.Session, r.Transaction, r.Site, r.Purpose}}
}

const approvalColumns = `id, account, session, ceremony, site, purpose, sealed_content, status, credential, created_at, expires_at, answered_at`

func (r reader) scanApproval(rows row) (a approval.Request, err error) {
	var content []byte
	err = rows.Scan(&a.ID, &a.Account, &a.Session, &a.Transaction, &a.Site, &a.Purpose, &content, &a.Status, &a.Credential,
		(*instant)(&a.CreatedAt), (*instant)(&a.ExpiresAt), (*instant)(&a.AnsweredAt))
	if err != nil {
		return a, err
	}
	if content, err = contentCell(a).open(r.ring, content); err != nil {
		return a, err
	}
	return a, json.Unmarshal(content, &a.Content)
}

// Approval implements approval.Store.
func (r reader) Approval(ctx context.Context, id string) (approval.Request, error) {
	a, err := one(ctx, r.q, approval.ErrGone, r.scanApproval, `SELECT `+approvalColumns+` FROM approval_request WHERE id = $1`, id)
	if err != nil {
		return approval.Request{}, fmt.Errorf("read a request: %w", err)
	}
	return a, nil
}

// OpenApprovals implements store.Store.
func (r reader) OpenApprovals(ctx context.Context, owner account.ID, now time.Time) ([]approval.Request, error) {
	all, err := list(ctx, r.q, r.scanApproval,
		`SELECT `+approvalColumns+` FROM approval_request WHERE account = $1 AND status = $2 AND expires_at > $3 ORDER BY created_at DESC, id`,
		string(owner), string(approval.Open), instant(now))
	if err != nil {
		return nil, fmt.Errorf("list requests: %w", err)
	}
	return all, nil
}

// AskApproval implements approval.Store.
func (db *DB) AskApproval(ctx context.Context, r approval.Request, now time.Time) error {
	err := db.write(ctx, func(t *tx) error {
		if err := t.lock(ctx, lockAccount(r.Account)); err != nil {
			return err
		}
		_, err := t.q.exec(ctx, `UPDATE approval_request SET status = $1 WHERE account = $2 AND session = $3 AND ceremony = $4 AND status = $5`,
			string(approval.Replaced), string(r.Account), r.Session, r.Transaction, string(approval.Open))
		if err != nil {
			return err
		}
		if err := t.mayAsk(ctx, r.Account, now); err != nil {
			return err
		}
		plain, err := json.Marshal(r.Content)
		if err != nil {
			return err
		}
		content, err := contentCell(r).seal(t.ring, plain)
		if err != nil {
			return err
		}
		_, err = t.q.exec(ctx, `INSERT INTO approval_request (`+approvalColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
			r.ID, string(r.Account), r.Session, r.Transaction, r.Site, r.Purpose, content, string(r.Status), string(r.Credential),
			instant(r.CreatedAt), instant(r.ExpiresAt), instant(r.AnsweredAt))
		return err
	})
	if err != nil {
		return fmt.Errorf("ask for an approval: %w", err)
	}
	return nil
}

// mayAsk holds the limits of an account that is locked.
func (t *tx) mayAsk(ctx context.Context, owner account.ID, now time.Time) error {
	waiting, err := list(ctx, t.q, value[string], `SELECT id FROM approval_request WHERE account = $1 AND status = $2 AND expires_at > $3 LIMIT $4`,
		string(owner), string(approval.Open), instant(now), approval.MaxOpen)
	if err != nil {
		return err
	}
	if len(waiting) >= approval.MaxOpen {
		return factors.ErrCrowded
	}
	denied, err := list(ctx, t.q, value[int64],
		`SELECT answered_at FROM approval_request WHERE account = $1 AND status = $2 AND answered_at > $3 ORDER BY answered_at DESC LIMIT 1`,
		string(owner), string(approval.Denied), instant(now.Add(-approval.DeniedFor)))
	if err != nil || len(denied) == 0 {
		return err
	}
	last, err := list(ctx, t.q, value[int64], `SELECT created_at FROM approval_request WHERE account = $1 ORDER BY created_at DESC LIMIT 1`, string(owner))
	if err != nil {
		return err
	}
	next := fromNanoseconds(max(denied[0], last[0])).Add(approval.DenialWait)
	if now.Before(next) {
		return &factors.TooSoon{After: next.Sub(now)}
	}
	return nil
}

// SpendApproval implements approval.Store.
func (db *DB) SpendApproval(ctx context.Context, id string, now time.Time) error {
	err := db.write(ctx, func(t *tx) error {
		n, err := t.q.exec(ctx, `UPDATE approval_request SET status = $1 WHERE id = $2 AND status = $3 AND expires_at > $4`,
			string(approval.Spent), id, string(approval.Approved), instant(now))
		if err == nil && n == 0 {
			err = approval.ErrGone
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("spend an approval: %w", err)
	}
	return nil
}

// AnswerApproval implements store.Store.
func (db *DB) AnswerApproval(ctx context.Context, id string, by account.CredentialID, now time.Time, answer func(*account.Credential, *approval.Request) (audit.Event, []delivery.Queued, error)) error {
	err := db.update(ctx, func(t *tx) error {
		phone, err := t.lockCredential(ctx, by)
		if err != nil {
			return err
		}
		r, err := t.Approval(ctx, id)
		switch {
		case err != nil:
			return err
		case r.Account != phone.Account || r.Status != approval.Open || !now.Before(r.ExpiresAt):
			return approval.ErrGone
		}
		kept := phone
		e, messages, err := answer(&phone, &r)
		if err != nil {
			return err
		}
		_, secret, err := sealCredential(t.ring, account.Credential{ID: kept.ID, Account: kept.Account, Factor: kept.Factor, Secret: phone.Secret})
		if err == nil {
			_, err = t.q.exec(ctx, `UPDATE credential SET sealed_secret = $1 WHERE id = $2`, secret, string(kept.ID))
		}
		if err == nil {
			_, err = t.q.exec(ctx, `UPDATE approval_request SET status = $1, credential = $2, answered_at = $3 WHERE id = $4`,
				string(r.Status), string(r.Credential), instant(r.AnsweredAt), r.ID)
		}
		if err != nil {
			return err
		}
		return t.note(ctx, e, messages)
	})
	if err != nil {
		return fmt.Errorf("answer a request: %w", err)
	}
	return nil
}
