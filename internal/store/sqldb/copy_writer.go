package sqldb

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// writer changes one table of a target.
type writer struct {
	side  *side
	table table
	// waiting are rows that are not inserted yet.
	waiting [][]any
}

func (w *writer) insert(ctx context.Context, row []any) error {
	w.waiting = append(w.waiting, row)
	if len(w.waiting) < batchRows {
		return nil
	}
	return w.flush(ctx)
}

// flush inserts what waits, all of it or nothing.
func (w *writer) flush(ctx context.Context) error {
	if len(w.waiting) == 0 {
		return nil
	}
	var s statement
	s.text = `INSERT INTO "` + w.table.name + `" (` + names(w.table.columns) + ") VALUES "
	for i, row := range w.waiting {
		if i > 0 {
			s.text += ", "
		}
		marks := make([]string, len(row))
		for j, c := range w.table.columns {
			marks[j] = w.mark(&s, c, row)
		}
		s.text += "(" + strings.Join(marks, ", ") + ")"
	}
	w.waiting = w.waiting[:0]
	_, err := w.side.db.ExecContext(ctx, s.text, s.values...)
	return err
}

func (w *writer) update(ctx context.Context, row []any) error {
	var s statement
	var set []string
	for _, c := range w.table.columns {
		if !slices.Contains(w.table.key, c) {
			set = append(set, c.quoted()+" = "+w.mark(&s, c, row))
		}
	}
	s.text = `UPDATE "` + w.table.name + `" SET ` + strings.Join(set, ", ") + w.where(&s, row)
	_, err := w.side.db.ExecContext(ctx, s.text, s.values...)
	return err
}

func (w *writer) remove(ctx context.Context, row []any) error {
	var s statement
	s.text = `DELETE FROM "` + w.table.name + `"` + w.where(&s, row)
	_, err := w.side.db.ExecContext(ctx, s.text, s.values...)
	return err
}

// statement is a text with its values so far.
type statement struct {
	text   string
	values []any
}

func (w *writer) where(s *statement, row []any) string {
	var same []string
	for _, c := range w.table.key {
		same = append(same, c.quoted()+" = "+w.mark(s, c, row))
	}
	return " WHERE " + strings.Join(same, " AND ")
}

// mark adds a column's value and returns what stands for it.
func (w *writer) mark(s *statement, c column, row []any) string {
	v := row[slices.Index(w.table.columns, c)]
	if w.side.booleans[w.table.name+"."+c.name] {
		v = v == int64(1)
	}
	s.values = append(s.values, v)
	return fmt.Sprintf("$%d", len(s.values))
}
