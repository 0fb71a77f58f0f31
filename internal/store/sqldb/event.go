package sqldb

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/stepgate/stepgate/internal/audit"
)

func scanEventRow(rows *sql.Rows) (r audit.Row, err error) {
	err = rows.Scan(&r.Seq, (*instant)(&r.At), &r.Name, &r.Reference, &r.Account, &r.Actor, &r.Organisation, &r.Body, &r.Hash)
	return r, err
}

func scanEvent(rows *sql.Rows) (audit.Record, error) {
	row, err := scanEventRow(rows)
	if err != nil {
		return audit.Record{}, err
	}
	return row.Record()
}

func scanLink(rows *sql.Rows) (l audit.Link, err error) {
	err = rows.Scan(&l.Seq, &l.Hash)
	return l, err
}

// AppendEvent implements audit.Appender.
func (db *DB) AppendEvent(ctx context.Context, e audit.Event) (audit.Record, error) {
	var record audit.Record
	err := db.update(ctx, func(t *tx) (err error) {
		record, err = t.AppendEvent(ctx, e)
		return err
	})
	if err != nil {
		return audit.Record{}, err
	}
	return record, nil
}

// AppendEvent implements store.Tx. Only transactions that hold lockUpdates
// get here, so nobody else reads the same last link.
func (t *tx) AppendEvent(ctx context.Context, e audit.Event) (audit.Record, error) {
	record, err := t.appendEvent(ctx, e)
	if err != nil {
		return audit.Record{}, fmt.Errorf("append event: %w", err)
	}
	return record, nil
}

func (t *tx) appendEvent(ctx context.Context, e audit.Event) (audit.Record, error) {
	var last audit.Link
	links, err := list(ctx, t.q, scanLink, `SELECT seq, hash FROM audit_event ORDER BY seq DESC LIMIT 1`)
	if err != nil {
		return audit.Record{}, err
	}
	if len(links) > 0 {
		last = links[0]
	}
	if e.At.IsZero() {
		e.At = t.db.now()
	}
	record, err := t.db.chain.Seal(last, e)
	if err != nil {
		return audit.Record{}, err
	}
	r := record.Row()
	_, err = t.q.exec(ctx,
		`INSERT INTO audit_event (seq, at, name, reference, account, actor, organisation, body, hash)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		r.Seq, instant(r.At), string(r.Name), r.Reference, r.Account, r.Actor, r.Organisation, r.Body, r.Hash)
	return record, err
}

// Events implements audit.Store.
func (r reader) Events(ctx context.Context, q audit.Query) ([]audit.Record, error) {
	limit := q.Limit
	if limit <= 0 {
		limit = defaultPage
	}
	// A name is in the list if taking it out changes the list. PostgreSQL takes
	// a number's type from where it first appears.
	all, err := list(ctx, r.q, scanEvent,
		`SELECT seq, at, name, reference, account, actor, organisation, body, hash
		FROM audit_event
		WHERE ($1 = '' OR account = $1) AND ($2 = '' OR actor = $2) AND ($3 = '' OR organisation = $3)
			AND ($4 = '' OR replace($4, ',' || name || ',', '') <> $4)
			AND (at >= $5 OR $5 = 0) AND (at < $6 OR $6 = 0) AND (seq < $7 OR $7 = 0)
		ORDER BY seq DESC LIMIT $8`,
		q.Account, q.Actor, q.Organisation, nameList(q.Names),
		instant(q.Since), instant(q.Until), q.Before, limit)
	if err != nil {
		return nil, fmt.Errorf("list events: %w", err)
	}
	return all, nil
}

// nameList writes names so that each has a comma on either side.
func nameList(names []audit.Name) string {
	var b strings.Builder
	for _, name := range names {
		b.WriteString("," + string(name) + ",")
	}
	return b.String()
}

// EventByReference implements audit.Store.
func (r reader) EventByReference(ctx context.Context, reference string) (audit.Record, error) {
	if reference == "" {
		return audit.Record{}, audit.ErrNotFound
	}
	record, err := one(ctx, r.q, audit.ErrNotFound, scanEvent,
		`SELECT seq, at, name, reference, account, actor, organisation, body, hash
		FROM audit_event WHERE reference = $1 ORDER BY seq DESC LIMIT 1`, reference)
	if err != nil {
		return audit.Record{}, fmt.Errorf("read event: %w", err)
	}
	return record, nil
}

// EventRows implements audit.Store.
func (r reader) EventRows(ctx context.Context, after int64, limit int) ([]audit.Row, error) {
	rows, err := list(ctx, r.q, scanEventRow,
		`SELECT seq, at, name, reference, account, actor, organisation, body, hash
		FROM audit_event WHERE seq > $1 ORDER BY seq LIMIT $2`, after, limit)
	if err != nil {
		return nil, fmt.Errorf("read audit trail: %w", err)
	}
	return rows, nil
}
