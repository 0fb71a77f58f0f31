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
func (db *DB) RevokeDevice(ctx context.Context, owner account.ID, id account.CredentialID, e audit.Event, messages []delivery.Queued) error {
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

// revokeDevice removes the credential, and with it the sessions on the device.
func (t *tx) revokeDevice(ctx context.Context, owner account.ID, id account.CredentialID) error {
	kept, err := t.lockCredential(ctx, id)
	if err == nil && kept.Account != owner {
		err = account.ErrNotFound
	}
	if err != nil {
		return err
	}
	return t.dropCredentials(ctx, owner, `DELETE FROM credential WHERE account = $1 AND id = $2 RETURNING id`, string(id))
}

// endDevice ends the sessions on a private device.
func (t *tx) endDevice(ctx context.Context, owner account.ID, id account.CredentialID) error {
	open, err := list(ctx, t.q, value[string],
		`SELECT DISTINCT id FROM session WHERE account = $1 AND device_id = $2`, string(owner), string(id))
	if err != nil {
		return err
	}
	for _, of := range open {
		if err := t.endSession(ctx, session.ID(of)); err != nil {
			return err
		}
	}
	return nil
}
