package sqldb

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stepgate/stepgate/internal/audit"
)

func scanEventRow(rows row) (r audit.Row, err error) {
	err = rows.Scan(&r.Seq, (*instant)(&r.At), &r.Name, &r.Reference, &r.Account, &r.Actor, &r.Organisation, &r.Body, &r.Hash)
	return r, err
}

func scanEvent(rows row) (audit.Record, error) {
	row, err := scanEventRow(rows)
	if err != nil {
		return audit.Record{}, err
	}
	return row.Record()
}

func scanLink(rows row) (l audit.Link, err error) {
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
	records, err := t.appendEvents(ctx, e)
	if err != nil {
		return audit.Record{}, fmt.Errorf("append event: %w", err)
	}
	return records[0], nil
}

// AppendEvents implements store.Tx.
func (t *tx) AppendEvents(ctx context.Context, all []audit.Event) error {
	if _, err := t.appendEvents(ctx, all...); err != nil {
		return fmt.Errorf("append events: %w", err)
	}
	return nil
}

func (t *tx) appendEvents(ctx context.Context, all ...audit.Event) ([]audit.Record, error) {
	last, err := t.lastLink(ctx)
	if err != nil {
		return nil, err
	}
	records := make([]audit.Record, len(all))
	rows := &manyRows{table: "audit_event", columns: "seq, at, name, reference, account, actor, organisation, body, hash"}
	for i, e := range all {
		if e.At.IsZero() {
			e.At = t.db.now()
		}
		if records[i], err = t.db.chain.Seal(last, e); err != nil {
			return nil, err
		}
		r := records[i].Row()
		rows.add(r.Seq, instant(r.At), string(r.Name), r.Reference, r.Account, r.Actor, r.Organisation, r.Body, r.Hash)
		last = records[i].Link()
	}
	if err := rows.later(ctx, t.q); err != nil {
		return nil, err
	}
	t.tail, t.appended = &last, append(t.appended, all...)
	return records, nil
}

// lastLink is the trail's end.
func (t *tx) lastLink(ctx context.Context) (audit.Link, error) {
	if t.tail != nil {
		return *t.tail, nil
	}
	links, err := list(ctx, t.q, scanLink, `SELECT seq, hash FROM audit_event ORDER BY seq DESC LIMIT 1`)
	if err != nil || len(links) == 0 {
		return audit.Link{}, err
	}
	return links[0], nil
}

// Events implements audit.Store. However long the trail, it reads hardly more
// than it returns: each name by itself, along an index that has the order.
func (r reader) Events(ctx context.Context, q audit.Query) ([]audit.Record, error) {
	limit := q.Limit
	if limit <= 0 {
		limit = defaultPage
	}
	all, err := r.events(ctx, q, limit)
	if err != nil {
		return nil, fmt.Errorf("list events: %w", err)
	}
	return all, nil
}

func (r reader) events(ctx context.Context, q audit.Query, limit int) ([]audit.Record, error) {
	from, to, err := r.eventBounds(ctx, q)
	if err != nil {
		return nil, err
	}
	// Somebody's own events are few, and their names only narrow them down.
	lists := [][]audit.Name{q.Names}
	if q.Account == "" && q.Actor == "" && len(q.Names) > 1 {
		lists = slices.Collect(slices.Chunk(q.Names, 1))
	}
	var all []audit.Record
	for _, names := range lists {
		c := conditionsOf(q, names, from, to)
		some, err := list(ctx, r.q, scanEvent, selectEvents+c.where()+fmt.Sprintf(` ORDER BY seq DESC LIMIT %d`, limit), c.args...)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	slices.SortFunc(all, func(a, b audit.Record) int { return cmp.Compare(b.Seq, a.Seq) })
	return all[:min(len(all), limit)], nil
}

const selectEvents = `SELECT seq, at, name, reference, account, actor, organisation, body, hash FROM audit_event`

// conditionsOf are those of a query for some of its names, between two numbers
// of the trail.
func conditionsOf(q audit.Query, names []audit.Name, from, to int64) (c eventConditions) {
	c.equal("account", q.Account)
	c.equal("actor", q.Actor)
	c.narrowed("organisation", q.Organisation, q.Account != "" || q.Actor != "")
	c.named(names, q.Account != "" || q.Actor != "")
	c.between(from, to)
	// The plus keeps the planner from sorting what an index of times gives.
	c.bound("+at >=", nanoseconds(q.Since))
	c.bound("+at <", nanoseconds(q.Until))
	return c
}

// eventSkew is how far the order of events may differ from that of their times.
const eventSkew = 2 * time.Hour

// eventBounds turns times into numbers, which are in the order of the trail: 0
// is no bound.
func (r reader) eventBounds(ctx context.Context, q audit.Query) (from, to int64, err error) {
	edge := func(query string, at time.Time) (int64, error) {
		seqs, err := list(ctx, r.q, value[int64], query, instant(at))
		if err != nil || len(seqs) == 0 {
			return 0, err
		}
		return seqs[0], nil
	}
	if to = q.Before; !q.Until.IsZero() {
		end, err := edge(`SELECT seq FROM audit_event WHERE at >= $1 ORDER BY at LIMIT 1`, q.Until.Add(eventSkew))
		if err != nil {
			return 0, 0, err
		}
		if end > 0 && (to == 0 || end < to) {
			to = end
		}
	}
	if !q.Since.IsZero() {
		from, err = edge(`SELECT seq FROM audit_event WHERE at < $1 ORDER BY at DESC LIMIT 1`, q.Since.Add(-eventSkew))
	}
	return from, to, err
}

// eventConditions are those of a query that are set.
type eventConditions struct {
	parts []string
	args  []any
}

func (c *eventConditions) equal(column, value string) {
	if value != "" {
		c.add(column+" =", value)
		// The indexes are of rows that have one, and the planner cannot know it
		// of a parameter.
		c.parts = append(c.parts, column+" <> ''")
	}
}

// narrowed is equal, by the column's index or by another.
func (c *eventConditions) narrowed(column, value string, elsewhere bool) {
	if value == "" || !elsewhere {
		c.equal(column, value)
		return
	}
	c.add(column+" || '' =", value) // an expression has no index
}

// named wants one of the names, by their index or by another.
func (c *eventConditions) named(names []audit.Name, elsewhere bool) {
	if len(names) == 0 {
		return
	}
	if len(names) == 1 && !elsewhere {
		c.add("name =", string(names[0])) // all of an index's columns are then given
		return
	}
	column, marks := "name", make([]string, 0, len(names))
	if elsewhere {
		column = "name || ''" // an expression has no index
	}
	for _, name := range names {
		c.args = append(c.args, string(name))
		marks = append(marks, fmt.Sprintf("$%d", len(c.args)))
	}
	c.parts = append(c.parts, column+" IN ("+strings.Join(marks, ", ")+")")
}

// between are the numbers that are asked for, both as one where both are given:
// so SQLite's planner sees how few are left.
func (c *eventConditions) between(from, to int64) {
	if from != 0 && to != 0 {
		c.args = append(c.args, from+1, to-1)
		c.parts = append(c.parts, fmt.Sprintf("seq BETWEEN $%d AND $%d", len(c.args)-1, len(c.args)))
		return
	}
	c.bound("seq >", from)
	c.bound("seq <", to)
}

func (c *eventConditions) bound(left string, value int64) {
	if value != 0 {
		c.add(left, value)
	}
}

func (c *eventConditions) add(left string, value any) {
	c.args = append(c.args, value)
	c.parts = append(c.parts, fmt.Sprintf("%s $%d", left, len(c.args)))
}

func (c *eventConditions) where() string {
	if len(c.parts) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(c.parts, " AND ")
}

// whereReference says of the reference that there is one, as equal does.
const whereReference = ` WHERE reference = $1 AND reference <> '' ORDER BY seq DESC LIMIT 1`

// EventByReference implements audit.Store.
func (r reader) EventByReference(ctx context.Context, reference string) (audit.Record, error) {
	if reference == "" {
		return audit.Record{}, audit.ErrNotFound
	}
	record, err := one(ctx, r.q, audit.ErrNotFound, scanEvent, selectEvents+whereReference, reference)
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

// PruneEvents implements store.Store: the oldest rows up to a number, some at a
// time, with rests between, so that nobody waits long. It returns how many went.
func (db *DB) PruneEvents(ctx context.Context, upTo int64) (int64, error) {
	var all int64
	for {
		var gone int64
		began := time.Now()
		err := db.write(ctx, func(t *tx) (err error) {
			gone, err = t.q.exec(ctx, `DELETE FROM audit_event WHERE seq IN (
				SELECT seq FROM audit_event WHERE seq <= $1 ORDER BY seq LIMIT $2)`, upTo, pruneRows)
			return err
		})
		if all += gone; err != nil {
			return all, fmt.Errorf("prune the audit trail: %w", err)
		}
		if gone < pruneRows {
			return all, nil
		}
		if err := rest(ctx, time.Since(began)); err != nil {
			return all, err
		}
	}
}

const pruneRows = 1000
