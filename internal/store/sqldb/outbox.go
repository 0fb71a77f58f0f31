package sqldb

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/stepgate/stepgate/factors/delivery"
)

// letter is what of a message is sealed.
type letter struct {
	To, Subject, Body string
	Charged           bool `json:",omitempty"`
}

func messageCell(k delivery.Queued) cell {
	return cell{"outbox.sealed_message", []string{k.ID, k.Channel, k.Account}}
}

// lockOutbox keeps workers from claiming the same messages.
const lockOutbox = "outbox"

// QueueMessage implements delivery.Store, and store.Tx: there it is kept only
// if the transaction is.
func (t *tx) QueueMessage(ctx context.Context, k delivery.Queued, limit int) error {
	plain, err := json.Marshal(letter{k.To, k.Subject, k.Body, k.Charged})
	if err != nil {
		return fmt.Errorf("keep message: %w", err)
	}
	sealed, err := messageCell(k).seal(t.ring, plain)
	if err != nil {
		return fmt.Errorf("keep message: %w", err)
	}
	n, err := t.q.exec(ctx,
		`INSERT INTO outbox (id, channel, account, sealed_message, tries, due_at, expires_at)
		SELECT $1, $2, $3, $4, $5, $6, $7 WHERE (SELECT COUNT(*) FROM outbox) < $8`,
		k.ID, k.Channel, k.Account, sealed, k.Tries, instant(k.DueAt), instant(k.ExpiresAt), limit)
	if err == nil && n == 0 {
		err = delivery.ErrFull
	}
	if err != nil {
		return fmt.Errorf("keep message: %w", err)
	}
	return nil
}

// QueueMessage implements delivery.Store.
func (db *DB) QueueMessage(ctx context.Context, k delivery.Queued, limit int) error {
	return db.write(ctx, func(t *tx) error { return t.QueueMessage(ctx, k, limit) })
}

// claimed is a row of the outbox, still sealed.
type claimed struct {
	kept   delivery.Queued
	sealed []byte
}

func scanClaimed(rows row) (c claimed, err error) {
	k := &c.kept
	err = rows.Scan(&k.ID, &k.Channel, &k.Account, &c.sealed, &k.Tries, (*instant)(&k.DueAt), (*instant)(&k.ExpiresAt))
	return c, err
}

// ClaimMessages implements delivery.Store. A message that does not open is
// left out and named in the error; the others are given all the same.
func (db *DB) ClaimMessages(ctx context.Context, now, until time.Time, n int) ([]delivery.Queued, error) {
	due, err := list(ctx, db.q, value[string],
		`SELECT id FROM outbox WHERE due_at <= $1 AND expires_at > $1 AND (channel <> 'sms' OR tries = 0) LIMIT 1`, instant(now))
	if err != nil || len(due) == 0 {
		return nil, err // most of the time there is nothing, and nothing is written
	}
	var all []claimed
	err = db.write(ctx, func(t *tx) (err error) {
		if err := t.lock(ctx, lockOutbox); err != nil {
			return err
		}
		all, err = list(ctx, t.q, scanClaimed,
			`UPDATE outbox SET tries = tries + 1, due_at = $1
			WHERE id IN (
				SELECT id FROM outbox WHERE due_at <= $2 AND expires_at > $2 AND (channel <> 'sms' OR tries = 0)
				ORDER BY due_at, id LIMIT $3)
			RETURNING id, channel, account, sealed_message, tries, due_at, expires_at`,
			instant(until), instant(now), n)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("claim messages: %w", err)
	}
	return db.unseal(all)
}

func (db *DB) unseal(all []claimed) (kept []delivery.Queued, err error) {
	for _, c := range all {
		plain, broken := messageCell(c.kept).open(db.ring, c.sealed)
		var l letter
		if broken == nil {
			broken = json.Unmarshal(plain, &l)
		}
		if broken != nil {
			err = errors.Join(err, fmt.Errorf("claim message: %w", broken))
			continue
		}
		c.kept.To, c.kept.Subject, c.kept.Body, c.kept.Charged = l.To, l.Subject, l.Body, l.Charged
		kept = append(kept, c.kept)
	}
	return kept, err
}

// DelayMessage implements delivery.Store.
func (db *DB) DelayMessage(ctx context.Context, id string, due time.Time) error {
	return db.write(ctx, func(t *tx) error {
		if _, err := t.q.exec(ctx, `UPDATE outbox SET due_at = $1 WHERE id = $2`, instant(due), id); err != nil {
			return fmt.Errorf("delay message: %w", err)
		}
		return nil
	})
}

// DropMessage implements delivery.Store.
func (db *DB) DropMessage(ctx context.Context, id string) error {
	return db.write(ctx, func(t *tx) error {
		if _, err := t.q.exec(ctx, `DELETE FROM outbox WHERE id = $1`, id); err != nil {
			return fmt.Errorf("drop message: %w", err)
		}
		return nil
	})
}

// WaitingMessages implements delivery.Store.
func (db *DB) WaitingMessages(ctx context.Context, now time.Time) (n int, since time.Time, err error) {
	type backlog struct {
		n     int
		since instant
	}
	b, err := one(ctx, db.q, sql.ErrNoRows, func(rows row) (b backlog, err error) {
		err = rows.Scan(&b.n, &b.since)
		return b, err
	}, `SELECT COUNT(*), COALESCE(MIN(CASE WHEN due_at <= $1 THEN due_at END), 0) FROM outbox WHERE expires_at > $1`, instant(now))
	if err != nil {
		return 0, time.Time{}, fmt.Errorf("count waiting messages: %w", err)
	}
	return b.n, time.Time(b.since), nil
}
