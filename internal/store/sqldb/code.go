package sqldb

import (
	"context"
	"fmt"
	"time"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/factors/oob"
)

func scanCode(rows row) (c oob.Code, err error) {
	var spent int64
	err = rows.Scan(&c.Account, &c.Session, &c.Purpose, &c.Factor, &c.Transaction, &c.Credential, &c.MAC, &c.To,
		(*instant)(&c.SentAt), (*instant)(&c.ExpiresAt), &c.Sends, &c.Tries, &spent)
	c.Spent = spent != 0
	return c, err
}

// Code implements oob.Codes.
func (r reader) Code(ctx context.Context, slot oob.Slot) (oob.Code, error) {
	all, err := list(ctx, r.q, scanCode,
		`SELECT account, session, purpose, factor, ceremony, credential, mac, sent_to, sent_at, expires_at, sends, tries, spent
		FROM one_time_code WHERE account = $1 AND session = $2 AND purpose = $3 AND factor = $4`,
		string(slot.Account), slot.Session, slot.Purpose, string(slot.Factor))
	if err != nil {
		return oob.Code{}, fmt.Errorf("read code: %w", err)
	}
	if len(all) == 0 {
		return oob.Code{Slot: slot}, nil
	}
	return all[0], nil
}

// ReplaceCode implements oob.Codes.
func (db *DB) ReplaceCode(ctx context.Context, slot oob.Slot, change func(oob.Code) (oob.Code, error)) error {
	return db.write(ctx, func(t *tx) error {
		if err := t.lock(ctx, lockCode(slot)); err != nil {
			return err
		}
		held, err := t.Code(ctx, slot)
		if err != nil {
			return err
		}
		c, err := change(held)
		if err != nil {
			return err
		}
		_, err = t.q.exec(ctx,
			`INSERT INTO one_time_code
				(account, session, purpose, factor, ceremony, credential, mac, sent_to, sent_at, expires_at, sends, tries, spent)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
			ON CONFLICT (account, session, purpose, factor) DO UPDATE SET
				ceremony = excluded.ceremony, credential = excluded.credential, mac = excluded.mac, sent_to = excluded.sent_to,
				sent_at = excluded.sent_at, expires_at = excluded.expires_at, sends = excluded.sends, tries = excluded.tries, spent = excluded.spent`,
			string(slot.Account), slot.Session, slot.Purpose, string(slot.Factor), c.Transaction, string(c.Credential), c.MAC, c.To,
			instant(c.SentAt), instant(c.ExpiresAt), c.Sends, c.Tries, oneIf(c.Spent))
		if err != nil {
			return fmt.Errorf("replace code: %w", err)
		}
		return nil
	})
}

func lockCode(slot oob.Slot) string {
	return "code " + string(slot.Account) + " " + slot.Session + " " + slot.Purpose + " " + string(slot.Factor)
}

func oneIf(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// TryCode implements oob.Codes. The statement that spends the try locks the
// row until the end of the transaction.
func (db *DB) TryCode(ctx context.Context, slot oob.Slot, now time.Time, tries int, right func(oob.Code) bool) (oob.Code, error) {
	var tried oob.Code
	var verdict error
	err := db.write(ctx, func(t *tx) (err error) {
		tried, verdict, err = t.tryCode(ctx, slot, now, tries, right)
		return err
	})
	if err != nil {
		return oob.Code{}, fmt.Errorf("try code: %w", err)
	}
	return tried, verdict
}

func (t *tx) tryCode(ctx context.Context, slot oob.Slot, now time.Time, tries int, right func(oob.Code) bool) (oob.Code, error, error) {
	open, err := list(ctx, t.q, scanCode,
		`UPDATE one_time_code SET tries = tries + 1
		WHERE account = $1 AND session = $2 AND purpose = $3 AND factor = $4 AND expires_at > $5 AND tries < $6 AND spent = 0
		RETURNING account, session, purpose, factor, ceremony, credential, mac, sent_to, sent_at, expires_at, sends, tries, spent`,
		string(slot.Account), slot.Session, slot.Purpose, string(slot.Factor), instant(now), tries)
	if err != nil {
		return oob.Code{}, nil, err
	}
	if len(open) == 0 {
		over, err := t.Code(ctx, slot)
		if over.Spent && right(over) {
			return oob.Code{}, factors.ErrReplayed, err
		}
		return oob.Code{}, factors.ErrExpired, err
	}
	if !right(open[0]) {
		return oob.Code{}, factors.ErrWrongAnswer, nil
	}
	_, err = t.q.exec(ctx,
		`UPDATE one_time_code SET spent = 1 WHERE account = $1 AND session = $2 AND purpose = $3 AND factor = $4`,
		string(slot.Account), slot.Session, slot.Purpose, string(slot.Factor))
	return open[0], nil, err
}

// DropCode implements oob.Codes.
func (db *DB) DropCode(ctx context.Context, slot oob.Slot, mac []byte) error {
	return db.write(ctx, func(t *tx) error {
		_, err := t.q.exec(ctx,
			`DELETE FROM one_time_code WHERE account = $1 AND session = $2 AND purpose = $3 AND factor = $4 AND mac = $5`,
			string(slot.Account), slot.Session, slot.Purpose, string(slot.Factor), mac)
		if err != nil {
			return fmt.Errorf("drop code: %w", err)
		}
		return nil
	})
}
