package sqldb

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
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
	var gone []kept.ID
	err := db.write(ctx, func(t *tx) (err error) {
		gone, err = t.beginKept(ctx, q, b)
		return err
	})
	if err == nil {
		err = db.dropBodies(gone...)
	}
	if err != nil {
		return fmt.Errorf("begin kept request: %w", err)
	}
	return nil
}

// beginKept tells whose place it has taken.
func (t *tx) beginKept(ctx context.Context, q kept.Request, b kept.Bounds) ([]kept.ID, error) {
	if err := t.lockLiving(ctx, q.Account); err != nil {
		return nil, err
	}
	gone, err := t.makeRoom(ctx, q, b)
	if err != nil {
		return nil, err
	}
	_, err = t.q.exec(ctx,
		`INSERT INTO kept_request (id, account, browser, site, stage, sealed_head, size, chunks, kept_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8, $9)`,
		string(q.ID), string(q.Account), q.Browser[:], q.Site, keptWriting, []byte{}, q.Size, instant(q.KeptAt), instant(q.ExpiresAt))
	return gone, err
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
	id   kept.ID
	size int64
}

func scanKeptSize(rows row) (s keptSize, err error) {
	err = rows.Scan(&s.id, &s.size)
	return s, err
}

// makeRoom deletes the account's oldest requests until q fits beside the
// others, and tells whether there is room for it among everybody's.
func (t *tx) makeRoom(ctx context.Context, q kept.Request, b kept.Bounds) (gone []kept.ID, err error) {
	held, err := list(ctx, t.q, scanKeptSize,
		`SELECT id, CASE WHEN stage = $1 THEN 0 ELSE size END FROM kept_request WHERE account = $2 ORDER BY kept_at DESC, id`,
		keptContinued, string(q.Account))
	if err != nil {
		return nil, err
	}
	requests, bytes := 1, q.Size
	for _, h := range held {
		if requests++; requests <= b.AccountRequests && bytes+h.size <= b.AccountBytes {
			bytes += h.size
			continue
		}
		if _, err := t.q.exec(ctx, `DELETE FROM kept_request WHERE id = $1`, string(h.id)); err != nil {
			return nil, err
		}
		gone = append(gone, h.id)
	}
	if err := t.lock(ctx, lockKept); err != nil {
		return nil, err
	}
	total, err := one(ctx, t.q, kept.ErrFull, value[int64],
		`SELECT CAST(COALESCE(SUM(size), 0) AS BIGINT) FROM kept_request WHERE stage <> $1`, keptContinued)
	if err == nil && total+q.Size > b.TotalBytes {
		err = kept.ErrFull
	}
	return gone, err
}

// AddKeptChunk implements kept.Store. In an SQLite store chunks of full length
// go into a file, and only what is shorter, the whole of a small body or the
// end of a large one, into the table.
func (db *DB) AddKeptChunk(ctx context.Context, id kept.ID, seq int, chunk []byte) error {
	add := db.addChunkRow
	if db.bodies != nil && len(chunk) == kept.ChunkBytes {
		add = db.addChunkToFile
	}
	if err := add(ctx, id, seq, chunk); err != nil {
		return fmt.Errorf("keep chunk: %w", err)
	}
	return nil
}

// addChunkToFile costs no commit: FinishKept finds out whether the request has
// been deleted meanwhile.
func (db *DB) addChunkToFile(ctx context.Context, id kept.ID, seq int, chunk []byte) error {
	rows, err := one(ctx, db.q, kept.ErrGone, value[int],
		`SELECT chunks FROM kept_request WHERE id = $1 AND stage = $2`, string(id), keptWriting)
	switch {
	case err != nil:
		return err
	case rows > 0: // a shorter one has been the last
		return kept.ErrGone
	}
	buffer := sealedChunks.Get().(*[]byte)
	defer sealedChunks.Put(buffer)
	sealed, err := keptChunkCell(id, seq).sealTo((*buffer)[:0], db.ring, chunk)
	if err != nil {
		return err
	}
	next, err := db.bodies.add(id, seq, sealed)
	if err == nil && !next {
		err = kept.ErrGone
	}
	return err
}

func (db *DB) addChunkRow(ctx context.Context, id kept.ID, seq int, chunk []byte) error {
	sealed, err := keptChunkCell(id, seq).seal(db.ring, chunk)
	inFile := 0
	if err == nil && db.bodies != nil {
		inFile, err = db.bodies.count(id)
	}
	if err != nil {
		return err
	}
	return db.writeLazily(ctx, func(t *tx) error { // FinishKept waits for the disk
		n, err := t.q.exec(ctx,
			`UPDATE kept_request SET chunks = chunks + 1 WHERE id = $1 AND stage = $2 AND chunks = $3`, string(id), keptWriting, seq-inFile)
		if err == nil && n == 0 {
			err = kept.ErrGone
		}
		if err == nil {
			_, err = t.q.exec(ctx, `INSERT INTO kept_chunk (request, seq, sealed_bytes) VALUES ($1, $2, $3)`, string(id), seq, sealed)
		}
		return err
	})
}

// FinishKept implements kept.Store.
func (db *DB) FinishKept(ctx context.Context, q kept.Request, e audit.Event) error {
	head, err := json.Marshal(q.Head)
	if err == nil {
		head, err = keptHeadCell(q).seal(db.ring, head)
	}
	if err == nil && db.bodies != nil {
		err = db.bodies.sync(q.ID)
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

func (r reader) scanKept(rows row) (q kept.Request, err error) {
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
func (db *DB) KeptChunk(ctx context.Context, id kept.ID, seq int) ([]byte, error) {
	chunk, err := db.keptChunk(ctx, id, seq)
	if err != nil {
		return nil, fmt.Errorf("read chunk: %w", err)
	}
	return chunk, nil
}

func (db *DB) keptChunk(ctx context.Context, id kept.ID, seq int) ([]byte, error) {
	sealed, err := one(ctx, db.q, kept.ErrGone, value[[]byte],
		`SELECT c.sealed_bytes FROM kept_request k LEFT JOIN kept_chunk c ON c.request = k.id AND c.seq = $1 WHERE k.id = $2`, seq, string(id))
	switch {
	case err != nil:
		return nil, err
	case sealed == nil && db.bodies == nil:
		return nil, kept.ErrGone
	case sealed == nil:
		if sealed, err = db.bodies.read(id, seq); err != nil {
			return nil, err
		}
	}
	return keptChunkCell(id, seq).open(db.ring, sealed)
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
	err := db.write(ctx, func(t *tx) error {
		_, err := t.q.exec(ctx, `DELETE FROM kept_request WHERE id = $1`, string(id))
		return err
	})
	if err == nil {
		err = db.dropBodies(id)
	}
	if err != nil {
		return fmt.Errorf("drop kept request: %w", err)
	}
	return nil
}

// DropKeptBody implements kept.Store.
func (db *DB) DropKeptBody(ctx context.Context, id kept.ID) error {
	continued := false
	err := db.write(ctx, func(t *tx) error {
		held, err := list(ctx, t.q, value[string], `SELECT id FROM kept_request WHERE id = $1 AND stage = $2`, string(id), keptContinued)
		if continued = len(held) > 0; err == nil && continued {
			_, err = t.q.exec(ctx, `DELETE FROM kept_chunk WHERE request = $1`, string(id))
		}
		return err
	})
	if err == nil && continued {
		err = db.dropBodies(id)
	}
	if err != nil {
		return fmt.Errorf("drop body of kept request: %w", err)
	}
	return nil
}

func (db *DB) dropBodies(ids ...kept.ID) error {
	if db.bodies == nil || len(ids) == 0 {
		return nil
	}
	return db.bodies.drop(ids...)
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
		if err != nil {
			return err
		}
		if gone < purgeKeptRows {
			return db.sweepBodies(ctx)
		}
	}
}

// sweepBodies deletes the files of requests that are no more. A file that is
// listed was made after its row, so that one without is over.
func (db *DB) sweepBodies(ctx context.Context) error {
	if db.bodies == nil {
		return nil
	}
	ids, err := db.bodies.all()
	if err != nil || len(ids) == 0 {
		return err
	}
	held, err := list(ctx, db.q, value[kept.ID], `SELECT id FROM kept_request`)
	if err != nil {
		return err
	}
	return db.dropBodies(slices.DeleteFunc(ids, func(id kept.ID) bool { return slices.Contains(held, id) })...)
}
