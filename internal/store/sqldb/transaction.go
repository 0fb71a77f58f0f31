package sqldb

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/stepgate/stepgate/factors/delivery"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/session"
)

func stateCell(t ceremony.Transaction) cell {
	return cell{"challenge_transaction.sealed_state", []string{t.ID, string(t.Session), string(t.Subject), string(t.Factor)}}
}

func (r reader) scanTransaction(rows row) (t ceremony.Transaction, err error) {
	var state []byte
	err = rows.Scan(&t.ID, &t.Session, &t.Key, &t.Actor, &t.Subject, &t.Site, &t.Purpose, &t.Factor, &state,
		(*instant)(&t.CreatedAt), (*instant)(&t.ExpiresAt), &t.Version)
	if err != nil {
		return t, err
	}
	if state, err = stateCell(t).open(r.ring, state); err != nil {
		return t, err
	}
	if len(state) > 0 {
		t.State = state
	}
	return t, nil
}

// Transaction implements ceremony.Store.
func (r reader) Transaction(ctx context.Context, id string, now time.Time) (ceremony.Transaction, error) {
	t, err := one(ctx, r.q, ceremony.ErrTransactionGone, r.scanTransaction,
		`SELECT id, session, step, actor, subject, site, purpose, factor, sealed_state, created_at, expires_at, version
		FROM challenge_transaction WHERE id = $1 AND expires_at > $2`, id, instant(now))
	if err != nil {
		return ceremony.Transaction{}, fmt.Errorf("read transaction: %w", err)
	}
	return t, nil
}

// TransactionsFor implements store.Reader.
func (r reader) TransactionsFor(ctx context.Context, purpose string, now time.Time) ([]ceremony.Transaction, error) {
	all, err := list(ctx, r.q, r.scanTransaction,
		`SELECT id, session, step, actor, subject, site, purpose, factor, sealed_state, created_at, expires_at, version
		FROM challenge_transaction WHERE purpose = $1 AND expires_at > $2 ORDER BY created_at, id`, purpose, instant(now))
	if err != nil {
		return nil, fmt.Errorf("list transactions: %w", err)
	}
	return all, nil
}

// OpenTransaction implements ceremony.Store.
func (db *DB) OpenTransaction(ctx context.Context, c ceremony.Transaction, now time.Time) (ceremony.Transaction, error) {
	var open ceremony.Transaction
	err := db.write(ctx, func(t *tx) (err error) {
		// On PostgreSQL the one that stood in the way may be redeemed before
		// it is read; then there is room for ours.
		for range 3 {
			open, err = t.openTransaction(ctx, c, now)
			if !errors.Is(err, ceremony.ErrTransactionGone) {
				break
			}
		}
		return err
	})
	if err != nil {
		return ceremony.Transaction{}, fmt.Errorf("open transaction: %w", err)
	}
	return open, nil
}

func (t *tx) openTransaction(ctx context.Context, c ceremony.Transaction, now time.Time) (ceremony.Transaction, error) {
	_, err := t.q.exec(ctx, `DELETE FROM challenge_transaction WHERE session = $1 AND step = $2 AND expires_at <= $3`,
		string(c.Session), c.Key, instant(now))
	if err != nil {
		return c, err
	}
	if err := t.insertTransaction(ctx, c); err != nil {
		return c, err
	}
	return t.FindTransaction(ctx, c.Session, c.Key, now)
}

// FindTransaction implements ceremony.Store.
func (r reader) FindTransaction(ctx context.Context, of session.ID, key string, now time.Time) (ceremony.Transaction, error) {
	t, err := one(ctx, r.q, ceremony.ErrTransactionGone, r.scanTransaction,
		`SELECT id, session, step, actor, subject, site, purpose, factor, sealed_state, created_at, expires_at, version
		FROM challenge_transaction WHERE session = $1 AND step = $2 AND expires_at > $3`, string(of), key, instant(now))
	if err != nil {
		return ceremony.Transaction{}, fmt.Errorf("find transaction: %w", err)
	}
	return t, nil
}

// insertTransaction keeps c, unless its session has one of its step.
func (t *tx) insertTransaction(ctx context.Context, c ceremony.Transaction) error {
	state, err := stateCell(c).seal(t.ring, c.State)
	if err != nil {
		return err
	}
	_, err = t.q.exec(ctx,
		`INSERT INTO challenge_transaction
			(id, session, step, actor, subject, site, purpose, factor, sealed_state, created_at, expires_at, version)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT (session, step) DO NOTHING`,
		c.ID, string(c.Session), c.Key, string(c.Actor), string(c.Subject), c.Site, c.Purpose, string(c.Factor), state,
		instant(c.CreatedAt), instant(c.ExpiresAt), c.Version)
	return err
}

// ReplaceTransaction implements store.Tx.
func (t *tx) ReplaceTransaction(ctx context.Context, c ceremony.Transaction) error {
	err := t.lock(ctx, lockAccount(c.Subject))
	if err == nil {
		_, err = t.q.exec(ctx, `DELETE FROM challenge_transaction WHERE session = $1 AND step = $2`, string(c.Session), c.Key)
	}
	if err == nil {
		err = t.insertTransaction(ctx, c)
	}
	if err != nil {
		return fmt.Errorf("replace transaction: %w", err)
	}
	return nil
}

// RedeemTransaction implements store.Tx.
func (t *tx) RedeemTransaction(ctx context.Context, id string, now time.Time) error {
	if _, err := t.redeem(ctx, id, now); err != nil {
		return fmt.Errorf("redeem transaction: %w", err)
	}
	return nil
}

// SaveTransaction implements ceremony.Store.
func (db *DB) SaveTransaction(ctx context.Context, c ceremony.Transaction, now time.Time) error {
	return db.write(ctx, func(t *tx) error {
		// What the state is bound to never changes, so it is sealed for the
		// row as it stands, whatever else the caller's copy says.
		kept, err := t.Transaction(ctx, c.ID, now)
		if err != nil {
			return fmt.Errorf("save transaction: %w", err)
		}
		state, err := stateCell(kept).seal(t.ring, c.State)
		if err != nil {
			return fmt.Errorf("save transaction: %w", err)
		}
		n, err := t.q.exec(ctx,
			`UPDATE challenge_transaction SET sealed_state = $1, expires_at = $2, version = version + 1
			WHERE id = $3 AND version = $4 AND expires_at > $5`,
			state, instant(c.ExpiresAt), c.ID, c.Version, instant(now))
		if err == nil && n == 0 {
			err = ceremony.ErrTransactionGone
		}
		if err != nil {
			return fmt.Errorf("save transaction: %w", err)
		}
		return nil
	})
}

// RedeemTransaction implements ceremony.Store.
func (db *DB) RedeemTransaction(ctx context.Context, id string, now time.Time) error {
	return db.write(ctx, func(t *tx) error {
		if _, err := t.redeem(ctx, id, now); err != nil {
			return fmt.Errorf("redeem transaction: %w", err)
		}
		return nil
	})
}

// redeem returns whose credential the transaction was about.
func (t *tx) redeem(ctx context.Context, id string, now time.Time) (account.ID, error) {
	return one(ctx, t.q, ceremony.ErrTransactionGone, value[account.ID],
		`DELETE FROM challenge_transaction WHERE id = $1 AND expires_at > $2 RETURNING subject`, id, instant(now))
}

// errOtherSubject is a mistake of the caller.
var errOtherSubject = errors.New("sqldb: the transaction is about another account than the credential")

// Enrol implements ceremony.Store.
func (db *DB) Enrol(ctx context.Context, e ceremony.Enrolled, now time.Time) error {
	err := db.update(ctx, func(t *tx) error {
		subject, err := t.redeem(ctx, e.Transaction, now)
		if err != nil {
			return err
		}
		c := e.Credential
		if subject != c.Account {
			return errOtherSubject
		}
		if err := t.lock(ctx, lockAccount(c.Account)); err != nil {
			return err
		}
		if err := t.stillFirst(ctx, c.Account, e.First); err != nil {
			return err
		}
		if e.Sole {
			err := t.dropCredentials(ctx, c.Account, `DELETE FROM credential WHERE account = $1 AND factor = $2 RETURNING id`, c.Factor)
			if err != nil {
				return err
			}
		}
		if e.Replaces != "" {
			if err := t.revokeDevice(ctx, c.Account, e.Replaces); err != nil && !errors.Is(err, account.ErrNotFound) {
				return err
			}
		}
		if !c.Default {
			if c.Default, err = t.becomesDefault(ctx, c); err != nil {
				return err
			}
		}
		if err := t.InsertCredential(ctx, c); err != nil {
			return err
		}
		return t.note(ctx, e.Event, e.Messages)
	})
	if err != nil {
		return fmt.Errorf("enrol: %w", err)
	}
	return nil
}

// maxNotices bounds what waits in the outbox when a notice is put into it.
const maxNotices = 100_000

// note appends an event and keeps the messages that tell of it.
func (t *tx) note(ctx context.Context, e audit.Event, messages []delivery.Queued) error {
	for _, k := range messages {
		if err := t.QueueMessage(ctx, k, maxNotices); err != nil {
			return err
		}
	}
	_, err := t.AppendEvent(ctx, e)
	return err
}

// Note implements ceremony.Store.
func (db *DB) Note(ctx context.Context, e audit.Event, messages []delivery.Queued) error {
	err := db.update(ctx, func(t *tx) error { return t.note(ctx, e, messages) })
	if err != nil {
		return fmt.Errorf("note: %w", err)
	}
	return nil
}

// stillFirst looks whether the account holds no second factor but those that
// were seen. The account is locked.
func (t *tx) stillFirst(ctx context.Context, owner account.ID, first *ceremony.First) error {
	if first == nil {
		return nil
	}
	held, err := t.Credentials(ctx, owner)
	if err != nil {
		return err
	}
	for _, c := range held {
		if slices.Contains(first.Among, c.Factor) && !slices.Contains(first.Beside, c.ID) {
			return ceremony.ErrNotFirst
		}
	}
	return nil
}

// becomesDefault tells whether c is the first of its factor on an account
// without a default.
func (t *tx) becomesDefault(ctx context.Context, c account.Credential) (bool, error) {
	rivals, err := list(ctx, t.q, value[string],
		`SELECT id FROM credential WHERE account = $1 AND (is_default OR factor = $2) LIMIT 1`, string(c.Account), c.Factor)
	return len(rivals) == 0, err
}

// DropTransactions implements store.Tx: those about the account and those it
// acts in, with the codes that were sent for them, what waits on the phone, and
// the requests that they interrupted.
func (t *tx) DropTransactions(ctx context.Context, owner account.ID) error {
	_, err := t.q.exec(ctx, `DELETE FROM challenge_transaction WHERE subject = $1 OR actor = $1`, string(owner))
	if err == nil {
		_, err = t.q.exec(ctx, `DELETE FROM one_time_code WHERE account = $1`, string(owner))
	}
	if err == nil {
		_, err = t.q.exec(ctx, `DELETE FROM approval_request WHERE account = $1`, string(owner))
	}
	if err == nil {
		err = t.dropKeptOf(ctx, owner)
	}
	if err != nil {
		return fmt.Errorf("drop transactions: %w", err)
	}
	return nil
}
