package sqldb

import (
	"context"
	"slices"
	"strconv"
	"strings"
)

// rowArgs bounds the values of one statement. More would gain little.
const rowArgs = 600

// manyRows are rows of a table, many of which go in by one statement on
// PostgreSQL, for which each is a message. SQLite gets them one by one: there a
// statement costs little, and for one of several rows it writes down what each
// page was before. The zero value but for its texts has none.
type manyRows struct {
	table, columns string
	width          int
	args           []any
}

func (r *manyRows) add(values ...any) {
	r.width = len(values)
	r.args = append(r.args, values...)
}

// later inserts all, as querier's later does.
func (r *manyRows) later(ctx context.Context, q querier) error {
	return r.each(q, "", func(query string, args []any) error { return q.later(ctx, query, args...) })
}

// free inserts those that no other row is in the way of, and returns how many
// that were.
func (r *manyRows) free(ctx context.Context, q querier) (inserted int64, err error) {
	err = r.each(q, " ON CONFLICT DO NOTHING", func(query string, args []any) error {
		n, err := q.exec(ctx, query, args...)
		inserted += n
		return err
	})
	return inserted, err
}

// each calls do with statements that together insert all rows.
func (r *manyRows) each(q querier, behind string, do func(query string, args []any) error) error {
	if len(r.args) == 0 {
		return nil
	}
	rows := max(1, rowArgs/r.width)
	if st, ok := q.(*statements); ok && st.conn == nil {
		rows = 1
	}
	query, last := "", 0
	for args := r.args; len(args) > 0; {
		n := min(len(args), rows*r.width)
		if n != last {
			query, last = r.statement(n/r.width)+behind, n
		}
		if err := do(query, args[:n]); err != nil {
			return err
		}
		args = args[n:]
	}
	return nil
}

func (r *manyRows) statement(rows int) string {
	var text strings.Builder
	text.WriteString("INSERT INTO " + r.table + " (" + r.columns + ") VALUES ")
	for i := range rows * r.width {
		switch {
		case i == 0:
			text.WriteString("(")
		case i%r.width == 0:
			text.WriteString("), (")
		default:
			text.WriteString(", ")
		}
		text.WriteString("$" + strconv.Itoa(i+1))
	}
	text.WriteString(")")
	return text.String()
}

// amongMany is list for a query that names many values of one column: it is
// asked in parts, with the marks of some of the values where it says %s. The
// rows come part by part.
func amongMany[T any](ctx context.Context, q querier, scan func(row) (T, error), query string, first []any, values []string) ([]T, error) {
	var all []T
	for len(values) > 0 {
		n := min(len(values), rowArgs)
		marks, args := among(first, values[:n])
		found, err := list(ctx, q, scan, strings.Replace(query, "%s", marks, 1), args...)
		if err != nil {
			return nil, err
		}
		all, values = append(all, found...), values[n:]
	}
	return all, nil
}

// among adds values to the arguments of a query, and gives the marks that stand
// for them in it.
func among(first []any, values []string) (marks string, args []any) {
	args = slices.Clone(first)
	all := make([]string, len(values))
	for i, v := range values {
		args = append(args, v)
		all[i] = "$" + strconv.Itoa(len(args))
	}
	return strings.Join(all, ", "), args
}
