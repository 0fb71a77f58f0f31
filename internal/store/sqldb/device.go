package sqldb

import (
	"context"
	"fmt"

	"github.com/stepgate/stepgate/factors/delivery"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/session"
)

// RevokeDevice implements challenge.Store.
func (db *DB) RevokeDevice(ctx context.Context, owner account.ID, id account.CredentialID, e audit.Event, messages []delivery.Kept) error {
	return db.update(ctx, func(t *tx) error {
		if err := t.RevokeDevice(ctx, owner, id); err != nil {
			return err
		}
		return t.note(ctx, e, messages)
	})
}

// RevokeDevice implements store.Tx.
func (t *tx) RevokeDevice(ctx context.Context, owner account.ID, id account.CredentialID) error {
	if err := t.revokeDevice(ctx, owner, id); err != nil {
		return fmt.Errorf("revoke device: %w", err)
	}
	return nil
}

// revokeDevice removes the credential, and ends the sessions on the device.
func (t *tx) revokeDevice(ctx context.Context, owner account.ID, id account.CredentialID) error {
	if err := t.lock(ctx, lockAccount(owner)); err != nil {
		return err
	}
	_, err := one(ctx, t.q, account.ErrNotFound, value[string],
		`DELETE FROM credential WHERE id = $1 AND account = $2 RETURNING id`, string(id), string(owner))
	if err != nil {
		return err
	}
	open, err := list(ctx, t.q, value[string],
		`SELECT DISTINCT id FROM session WHERE account = $1 AND device_id = $2`, string(owner), string(id))
	if err != nil {
		return err
	}
	for _, id := range open {
		if err := t.endSession(ctx, session.ID(id)); err != nil {
			return err
		}
	}
	return t.moved(ctx, owner)
}
