package sqldb

import (
	"context"
	"errors"
	"fmt"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/session"
)

func visitsCell(owner account.ID) cell {
	return cell{"account_visits.sealed_visits", []string{string(owner)}}
}

// Visits implements store.Reader.
func (r reader) Visits(ctx context.Context, owner account.ID) (account.Secret, error) {
	visits, err := r.visits(ctx, owner)
	if errors.Is(err, account.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read visits: %w", err)
	}
	return visits, nil
}

func (r reader) visits(ctx context.Context, owner account.ID) (account.Secret, error) {
	return one(ctx, r.q, account.ErrNotFound, func(rows row) (account.Secret, error) {
		var sealed []byte
		if err := rows.Scan(&sealed); err != nil {
			return nil, err
		}
		plain, err := visitsCell(owner).open(r.ring, sealed)
		return account.Secret(plain), err
	}, `SELECT sealed_visits FROM account_visits WHERE account = $1`, string(owner))
}

// KeepVisits implements store.Store.
func (db *DB) KeepVisits(ctx context.Context, owner account.ID, change func(account.Secret) (account.Secret, error)) error {
	return db.write(ctx, func(t *tx) error { return t.KeepVisits(ctx, owner, change) })
}

// KeepVisits implements store.Tx.
func (t *tx) KeepVisits(ctx context.Context, owner account.ID, change func(account.Secret) (account.Secret, error)) error {
	if err := t.keepVisits(ctx, owner, change); err != nil {
		return fmt.Errorf("keep visits: %w", err)
	}
	return nil
}

func (t *tx) keepVisits(ctx context.Context, owner account.ID, change func(account.Secret) (account.Secret, error)) error {
	if err := t.lock(ctx, lockAccount(owner)); err != nil {
		return err
	}
	if _, err := one(ctx, t.q, account.ErrNotFound, value[string], `SELECT id FROM account WHERE id = $1`, string(owner)); err != nil {
		return err
	}
	before, err := t.Visits(ctx, owner)
	if err != nil {
		return err
	}
	after, err := change(before)
	if err != nil {
		return err
	}
	sealed, err := visitsCell(owner).seal(t.ring, after.Reveal())
	if err != nil {
		return err
	}
	_, err = t.q.exec(ctx,
		`INSERT INTO account_visits (account, sealed_visits) VALUES ($1, $2)
		ON CONFLICT (account) DO UPDATE SET sealed_visits = excluded.sealed_visits`, string(owner), sealed)
	return err
}

// RescoreSession implements session.Store. The owner is locked: of a session
// that is raised meanwhile the row that follows gets the risk too.
func (db *DB) RescoreSession(ctx context.Context, id session.ID, risk string) error {
	return db.write(ctx, func(t *tx) error {
		owner, err := t.sessionOwner(ctx, id)
		if errors.Is(err, session.ErrNotFound) {
			return nil
		}
		if err == nil {
			err = t.lock(ctx, lockAccount(owner))
		}
		if err == nil {
			_, err = t.q.exec(ctx, `UPDATE session SET risk = $1 WHERE id = $2`, risk, string(id))
		}
		if err != nil {
			return fmt.Errorf("rescore session: %w", err)
		}
		t.tell(session.SessionChanged, string(id))
		return nil
	})
}
