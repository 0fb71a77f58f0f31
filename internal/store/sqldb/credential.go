package sqldb

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/keys"
)

func secretCell(c account.Credential) cell {
	return cell{"credential.sealed_secret", []string{string(c.ID), string(c.Account), c.Factor}}
}

func addressCell(c account.Credential) cell {
	return cell{"credential.sealed_address", []string{string(c.ID), string(c.Account), c.Factor}}
}

func (r reader) scanCredential(rows row) (c account.Credential, err error) {
	var secret, address []byte
	err = rows.Scan(&c.ID, &c.Account, &c.Factor, &c.Label, &address, &secret, &c.Counter, &c.Default,
		(*instant)(&c.CreatedAt), (*instant)(&c.LastUsedAt), asJSON(&c.BoundBy), (*instant)(&c.CountsFrom), &c.Handle, &c.MACKey)
	if err != nil {
		return c, err
	}
	if address, err = addressCell(c).open(r.ring, address); err != nil {
		return c, err
	}
	if secret, err = secretCell(c).open(r.ring, secret); err != nil {
		return c, err
	}
	c.Address = string(address)
	if len(secret) > 0 {
		c.Secret = account.Secret(secret)
	}
	return c, nil
}

func sealCredential(ring *keys.Ring, c account.Credential) (address, secret []byte, err error) {
	if address, err = addressCell(c).seal(ring, []byte(c.Address)); err != nil {
		return nil, nil, err
	}
	if secret, err = secretCell(c).seal(ring, c.Secret.Reveal()); err != nil {
		return nil, nil, err
	}
	return address, secret, nil
}

const selectCredentials = `SELECT id, account, factor, label, sealed_address, sealed_secret, counter, is_default,
		created_at, last_used_at, bound_by, counts_from, handle, mac_key
	FROM credential WHERE account = $1
	ORDER BY is_default DESC, last_used_at DESC, created_at, id`

// Credentials implements store.Reader and challenge.Store.
func (r reader) Credentials(ctx context.Context, owner account.ID) ([]account.Credential, error) {
	all, err := list(ctx, r.q, r.scanCredential, selectCredentials, string(owner))
	if err != nil {
		return nil, fmt.Errorf("list credentials: %w", err)
	}
	return all, nil
}

// Credential implements store.Reader.
func (r reader) Credential(ctx context.Context, id account.CredentialID) (account.Credential, error) {
	c, err := one(ctx, r.q, account.ErrNotFound, r.scanCredential,
		`SELECT id, account, factor, label, sealed_address, sealed_secret, counter, is_default,
			created_at, last_used_at, bound_by, counts_from, handle, mac_key
		FROM credential WHERE id = $1`, string(id))
	if err != nil {
		return account.Credential{}, fmt.Errorf("read credential: %w", err)
	}
	return c, nil
}

// CredentialByHandle implements store.Reader.
func (r reader) CredentialByHandle(ctx context.Context, handle string) (account.Credential, error) {
	if handle == "" {
		return account.Credential{}, fmt.Errorf("read credential by handle: %w", account.ErrNotFound)
	}
	c, err := one(ctx, r.q, account.ErrNotFound, r.scanCredential,
		`SELECT id, account, factor, label, sealed_address, sealed_secret, counter, is_default,
			created_at, last_used_at, bound_by, counts_from, handle, mac_key
		FROM credential WHERE handle = $1`, storable(handle))
	if err != nil {
		return account.Credential{}, fmt.Errorf("read credential by handle: %w", err)
	}
	return c, nil
}

// InsertCredential implements store.Tx. A new default takes the place of the
// old one. account.ErrNotFound says that the account is gone, account.ErrTaken
// that the ID or the handle exists.
func (t *tx) InsertCredential(ctx context.Context, c account.Credential) error {
	if err := t.insertCredential(ctx, c); err != nil {
		return fmt.Errorf("insert credential: %w", err)
	}
	return nil
}

func (t *tx) insertCredential(ctx context.Context, c account.Credential) error {
	if err := t.lock(ctx, lockAccount(c.Account)); err != nil {
		return err
	}
	if _, err := one(ctx, t.q, account.ErrNotFound, value[string], `SELECT id FROM account WHERE id = $1`, string(c.Account)); err != nil {
		return err
	}
	if err := t.makeRoomForDefault(ctx, c); err != nil {
		return err
	}
	address, secret, err := sealCredential(t.ring, c)
	if err != nil {
		return err
	}
	n, err := t.q.exec(ctx,
		`INSERT INTO credential (id, account, factor, label, sealed_address, sealed_secret, counter, is_default,
			created_at, last_used_at, bound_by, counts_from, handle, mac_key)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) ON CONFLICT DO NOTHING`,
		string(c.ID), string(c.Account), c.Factor, storable(c.Label), address, secret, c.Counter, c.Default,
		instant(c.CreatedAt), instant(c.LastUsedAt), asJSON(&c.BoundBy), instant(c.CountsFrom), c.Handle, c.MACKey)
	if err != nil {
		return err
	}
	if n == 0 {
		return account.ErrTaken
	}
	return t.moved(ctx, c.Account)
}

// makeRoomForDefault takes the mark from the account's other credentials if c
// is to have it.
func (t *tx) makeRoomForDefault(ctx context.Context, c account.Credential) error {
	if !c.Default {
		return nil
	}
	_, err := t.q.exec(ctx, `UPDATE credential SET is_default = FALSE WHERE account = $1 AND id <> $2 AND is_default`,
		string(c.Account), string(c.ID))
	return err
}

// UpdateCredential implements store.Tx.
func (t *tx) UpdateCredential(ctx context.Context, c account.Credential) error {
	if err := t.updateCredential(ctx, c); err != nil {
		return fmt.Errorf("update credential: %w", err)
	}
	return nil
}

func (t *tx) updateCredential(ctx context.Context, c account.Credential) error {
	kept, err := t.lockCredential(ctx, c.ID)
	if err != nil {
		return err
	}
	kept.Label, kept.Default, kept.Secret, kept.MACKey, kept.LastUsedAt = c.Label, c.Default, c.Secret, c.MACKey, c.LastUsedAt
	if err := t.makeRoomForDefault(ctx, kept); err != nil {
		return err
	}
	address, secret, err := sealCredential(t.ring, kept) // both with the newest key
	if err != nil {
		return err
	}
	n, err := t.q.exec(ctx,
		`UPDATE credential SET label = $1, is_default = $2, sealed_address = $3, sealed_secret = $4, last_used_at = $5, mac_key = $6 WHERE id = $7`,
		storable(kept.Label), kept.Default, address, secret, instant(kept.LastUsedAt), kept.MACKey, string(kept.ID))
	if err != nil {
		return err
	}
	if n == 0 {
		return account.ErrNotFound
	}
	return t.moved(ctx, kept.Account)
}

// lockCredential locks the owner of a credential and reads the credential.
// The owner never changes.
func (t *tx) lockCredential(ctx context.Context, id account.CredentialID) (account.Credential, error) {
	owner, err := one(ctx, t.q, account.ErrNotFound, value[string], `SELECT account FROM credential WHERE id = $1`, string(id))
	if err != nil {
		return account.Credential{}, err
	}
	if err := t.lock(ctx, lockAccount(account.ID(owner))); err != nil {
		return account.Credential{}, err
	}
	return t.Credential(ctx, id)
}

// DeleteCredential implements store.Tx.
func (t *tx) DeleteCredential(ctx context.Context, id account.CredentialID) error {
	kept, err := t.lockCredential(ctx, id)
	if err == nil {
		err = t.dropCredentials(ctx, kept.Account, `DELETE FROM credential WHERE account = $1 AND id = $2 RETURNING id`, string(id))
	}
	if err != nil {
		return fmt.Errorf("delete credential: %w", err)
	}
	return nil
}

// dropCredentials runs a statement that deletes credentials of an account,
// which is locked, and ends what they have proved, and the sessions on private
// devices that they were.
func (t *tx) dropCredentials(ctx context.Context, owner account.ID, statement string, args ...any) error {
	gone, err := list(ctx, t.q, value[account.CredentialID], statement, append([]any{string(owner)}, args...)...)
	for _, id := range gone {
		if err == nil {
			err = t.endDevice(ctx, owner, id)
		}
	}
	if err == nil {
		err = t.dropProofs(ctx, owner, gone)
	}
	if err == nil {
		err = t.moved(ctx, owner)
	}
	return err
}

// DeleteCredentials implements store.Tx. An account without credentials is no
// error.
func (t *tx) DeleteCredentials(ctx context.Context, owner account.ID) error {
	err := t.lock(ctx, lockAccount(owner))
	if err == nil {
		err = t.dropCredentials(ctx, owner, `DELETE FROM credential WHERE account = $1 RETURNING id`)
	}
	if err != nil {
		return fmt.Errorf("delete credentials: %w", err)
	}
	return nil
}

// ConsumeStep implements store.Store. The account's version stays: nobody may
// take a counter from memory.
func (db *DB) ConsumeStep(ctx context.Context, id account.CredentialID, step int64, now time.Time) (bool, error) {
	won := false
	err := db.write(ctx, func(t *tx) error {
		n, err := t.q.exec(ctx, `UPDATE credential SET counter = $1, last_used_at = $2 WHERE id = $3 AND counter < $1`,
			step, instant(now), string(id))
		won = n == 1
		return err
	})
	if err != nil {
		return false, fmt.Errorf("consume step: %w", err)
	}
	return won, nil
}

// TouchCredentials implements store.Store.
func (db *DB) TouchCredentials(ctx context.Context, used map[account.CredentialID]time.Time) error {
	err := db.update(ctx, func(t *tx) error { // for it holds many rows
		for _, id := range slices.Sorted(maps.Keys(used)) {
			err := t.q.later(ctx, `UPDATE credential SET last_used_at = $1 WHERE id = $2 AND last_used_at < $1`, instant(used[id]), string(id))
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("touch credentials: %w", err)
	}
	return nil
}

// UseCredential implements store.Store. The owner is locked, so that uses of
// one account's credentials follow one another, and the row is read behind
// the lock. The account's version stays: nobody may take from memory what a
// use alters. On PostgreSQL use may run again after a conflict, on a fresh
// copy.
func (db *DB) UseCredential(ctx context.Context, id account.CredentialID, now time.Time, use func(*account.Credential) error) (account.Credential, error) {
	var used account.Credential
	err := db.write(ctx, func(t *tx) error {
		kept, err := t.lockCredential(ctx, id)
		if err != nil {
			return fmt.Errorf("use credential: %w", err)
		}
		used = kept
		if err := use(&used); err != nil {
			return err
		}
		kept.Counter, kept.Secret, kept.MACKey, kept.LastUsedAt = used.Counter, used.Secret, used.MACKey, now
		used = kept
		_, secret, err := sealCredential(t.ring, kept)
		if err != nil {
			return fmt.Errorf("use credential: %w", err)
		}
		_, err = t.q.exec(ctx, `UPDATE credential SET counter = $1, sealed_secret = $2, last_used_at = $3, mac_key = $4 WHERE id = $5`,
			kept.Counter, secret, instant(now), kept.MACKey, string(kept.ID))
		if err != nil {
			return fmt.Errorf("use credential: %w", err)
		}
		return nil
	})
	if err != nil {
		return account.Credential{}, err
	}
	return used, nil
}
