package sqldb

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/kept"
)

// The stages of a kept request.
const (
	keptWriting   = "writing"
	keptWhole     = "kept"
	keptContinued = "continued"
)

// lockKept is held while the room of all kept requests is counted. It is
// taken behind that of an account.
const lockKept = "kept requests"

func keptHeadCell(q kept.Request) cell {
	return cell{"kept_request.sealed_head", []string{string(q.ID), string(q.Account), string(q.Browser[:]), q.Site}}
}

func keptChunkCell(id kept.ID, seq int) cell {
	return cell{"kept_chunk.sealed_bytes", []string{string(id), strconv.Itoa(seq)}}
}

// BeginKept implements kept.Store.
func (db *DB) BeginKept(ctx context.Context, q kept.Request, b kept.Bounds) error {
	return db.write(ctx, func(t *tx) error {
		if err := t.beginKept(ctx, q, b); err != nil {
			return fmt.Errorf("begin kept request: %w", err)
		}
		return nil
	})
}

func (t *tx) beginKept(ctx context.Context, q kept.Request, b kept.Bounds) error {
	if err := t.lockLiving(ctx, q.Account); err != nil {
		return err
	}
	if err := t.makeRoom(ctx, q, b); err != nil {
		return err
	}
	_, err := t.q.exec(ctx,
		`INSERT INTO kept_request (id, account, browser, site, stage, sealed_head, size, chunks, kept_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8, $9)`,
		string(q.ID), string(q.Account), q.Browser[:], q.Site, keptWriting, []byte{}, q.Size, instant(q.KeptAt), instant(q.ExpiresAt))
	return err
}

// lockLiving locks an account that is there and not suspended.
func (t *tx) lockLiving(ctx context.Context, id account.ID) error {
	if err := t.lock(ctx, lockAccount(id)); err != nil {
		return err
	}
	_, err := one(ctx, t.q, account.ErrNotFound, value[string],
		`SELECT id FROM account WHERE id = $1 AND suspended_at = 0`, string(id))
	return err
}

type keptSize struct {
	id   string
	size int64
}

func scanKeptSize(rows *sql.Rows) (s keptSize, err error) {
	err = rows.Scan(&s.id, &s.size)
	return s, err
}

// makeRoom deletes the account's oldest requests until q fits beside the
// others, and tells whether there is room for it among everybody's.
func (t *tx) makeRoom(ctx context.Context, q kept.Request, b kept.Bounds) error {
	held, err := list(ctx, t.q, scanKeptSize,
		`SELECT id, CASE WHEN stage = $1 THEN 0 ELSE size END FROM kept_request WHERE account = $2 ORDER BY kept_at DESC, id`,
		keptContinued, string(q.Account))
	if err != nil {
		return err
	}
	requests, bytes := 1, q.Size
	for _, h := range held {
		if requests++; requests <= b.AccountRequests && bytes+h.size <= b.AccountBytes {
			bytes += h.size
			continue
		}
		if _, err := t.q.exec(ctx, `DELETE FROM kept_request WHERE id = $1`, h.id); err != nil {
			return err
		}
	}
	if err := t.lock(ctx, lockKept); err != nil {
		return err
	}
	total, err := one(ctx, t.q, kept.ErrFull, value[int64],
		`SELECT CAST(COALESCE(SUM(size), 0) AS BIGINT) FROM kept_request WHERE stage <> $1`, keptContinued)
	if err == nil && total+q.Size > b.TotalBytes {
		err = kept.ErrFull
	}
	return err
}

// AddKeptChunk implements kept.Store.
func (db *DB) AddKeptChunk(ctx context.Context, id kept.ID, seq int, chunk []byte) error {
	sealed, err := keptChunkCell(id, seq).seal(db.ring, chunk)
	if err != nil {
		return fmt.Errorf("keep chunk: %w", err)
	}
	return db.writeLazily(ctx, func(t *tx) error { // FinishKept waits for the disk
		n, err := t.q.exec(ctx,
			`UPDATE kept_request SET chunks = chunks + 1 WHERE id = $1 AND stage = $2 AND chunks = $3`, string(id), keptWriting, seq)
		if err == nil && n == 0 {
			err = kept.ErrGone
		}
		if err == nil {
			_, err = t.q.exec(ctx, `INSERT INTO kept_chunk (request, seq, sealed_bytes) VALUES ($1, $2, $3)`, string(id), seq, sealed)
		}
		if err != nil {
			return fmt.Errorf("keep chunk: %w", err)
		}
		return nil
	})
}

// FinishKept implements kept.Store.
func (db *DB) FinishKept(ctx context.Context, q kept.Request, e audit.Event) error {
	head, err := json.Marshal(q.Head)
	if err == nil {
		head, err = keptHeadCell(q).seal(db.ring, head)
	}
	if err != nil {
		return fmt.Errorf("finish kept request: %w", err)
	}
	return db.update(ctx, func(t *tx) error {
		n, err := t.q.exec(ctx, `UPDATE kept_request SET stage = $1, sealed_head = $2, size = $3 WHERE id = $4 AND stage = $5`,
			keptWhole, head, q.Size, string(q.ID), keptWriting)
		if err == nil && n == 0 {
			err = kept.ErrGone
		}
		if err == nil {
			_, err = t.AppendEvent(ctx, e)
		}
		if err != nil {
			return fmt.Errorf("finish kept request: %w", err)
		}
		return nil
	})
}

func (r reader) scanKept(rows *sql.Rows) (q kept.Request, err error) {
	var stage string
	var head []byte
	err = rows.Scan(&q.ID, &q.Account, (*hashColumn)(&q.Browser), &q.Site, &stage, &head, &q.Size,
		(*instant)(&q.KeptAt), (*instant)(&q.ExpiresAt))
	if err != nil {
		return q, err
	}
	q.Continued = stage == keptContinued
	if head, err = keptHeadCell(q).open(r.ring, head); err != nil {
		return q, err
	}
	return q, json.Unmarshal(head, &q.Head)
}

// KeptRequest implements kept.Store.
func (r reader) KeptRequest(ctx context.Context, id kept.ID, now time.Time) (kept.Request, error) {
	q, err := one(ctx, r.q, kept.ErrGone, r.scanKept,
		`SELECT id, account, browser, site, stage, sealed_head, size, kept_at, expires_at
		FROM kept_request WHERE id = $1 AND stage <> $2 AND expires_at > $3`, string(id), keptWriting, instant(now))
	if err != nil {
		return kept.Request{}, fmt.Errorf("read kept request: %w", err)
	}
	return q, nil
}

// KeptChunk implements kept.Store.
func (r reader) KeptChunk(ctx context.Context, id kept.ID, seq int) ([]byte, error) {
	sealed, err := one(ctx, r.q, kept.ErrGone, value[[]byte],
		`SELECT sealed_bytes FROM kept_chunk WHERE request = $1 AND seq = $2`, string(id), seq)
	var chunk []byte
	if err == nil {
		chunk, err = keptChunkCell(id, seq).open(r.ring, sealed)
	}
	if err != nil {
		return nil, fmt.Errorf("read chunk: %w", err)
	}
	return chunk, nil
}

// RedeemKept implements kept.Store. The statement that moves the stage is
// what only one caller gets through.
func (db *DB) RedeemKept(ctx context.Context, id kept.ID, now time.Time, e audit.Event) error {
	return db.update(ctx, func(t *tx) error {
		n, err := t.q.exec(ctx, `UPDATE kept_request SET stage = $1 WHERE id = $2 AND stage = $3 AND expires_at > $4`,
			keptContinued, string(id), keptWhole, instant(now))
		if err == nil && n == 0 {
			_, err = t.KeptRequest(ctx, id, now)
			if err == nil {
				err = kept.ErrContinued
			}
		}
		if err == nil {
			_, err = t.AppendEvent(ctx, e)
		}
		if err != nil {
			return fmt.Errorf("redeem kept request: %w", err)
		}
		return nil
	})
}

// DropKept implements kept.Store.
func (db *DB) DropKept(ctx context.Context, id kept.ID) error {
	return db.dropKept(ctx, `DELETE FROM kept_request WHERE id = $1`, id)
}

// DropKeptBody implements kept.Store.
func (db *DB) DropKeptBody(ctx context.Context, id kept.ID) error {
	return db.dropKept(ctx,
		`DELETE FROM kept_chunk WHERE request = $1 AND request IN (SELECT id FROM kept_request WHERE stage = 'continued')`, id)
}

func (db *DB) dropKept(ctx context.Context, query string, id kept.ID) error {
	err := db.write(ctx, func(t *tx) error {
		_, err := t.q.exec(ctx, query, string(id))
		return err
	})
	if err != nil {
		return fmt.Errorf("drop kept request: %w", err)
	}
	return nil
}

// dropKeptOf deletes the requests of an account. The lock lets one that is
// about to begin come first, or find the account suspended.
func (t *tx) dropKeptOf(ctx context.Context, owner account.ID) error {
	if err := t.lock(ctx, lockAccount(owner)); err != nil {
		return err
	}
	_, err := t.q.exec(ctx, `DELETE FROM kept_request WHERE account = $1`, string(owner))
	return err
}

// purgeKeptRows is how many requests go in one transaction: each may have
// megabytes.
const purgeKeptRows = 4

// purgeKept deletes requests that nobody came back for.
func (db *DB) purgeKept(ctx context.Context, now time.Time) error {
	for {
		var gone int64
		err := db.write(ctx, func(t *tx) (err error) {
			gone, err = t.q.exec(ctx, `DELETE FROM kept_request WHERE id IN (
				SELECT id FROM kept_request WHERE expires_at <= $1 LIMIT $2)`, instant(now), purgeKeptRows)
			return err
		})
		if err != nil || gone < purgeKeptRows {
			return err
		}
	}
}
