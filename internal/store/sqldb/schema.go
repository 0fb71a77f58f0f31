package sqldb

import (
	"context"
	"database/sql"
	"slices"
	"strings"
)

// table is one table of the schema, as the migrations make it.
type table struct {
	name    string
	columns []column
	// key orders its rows, each by another value: its primary key, or all
	// columns where it has none.
	key []column
	// parents are the tables that its rows refer to.
	parents []string
}

type column struct {
	name string
	text bool
}

func (c column) quoted() string { return `"` + c.name + `"` }

// names writes columns for a statement.
func names(columns []column) string {
	quoted := make([]string, len(columns))
	for i, c := range columns {
		quoted[i] = c.quoted()
	}
	return strings.Join(quoted, ", ")
}

// schema lists the tables of this program's stores, parents first. Both
// dialects have the same tables and columns.
func schema(ctx context.Context) ([]table, error) {
	db, err := sql.Open("sqlite3", "file::memory:")
	if err != nil {
		return nil, err
	}
	defer db.Close()
	db.SetMaxOpenConns(1) // each connection has a memory of its own
	m := migrator{db: db, files: steps("sqlite"), lock: func(context.Context, querier) error { return nil }}
	if err := m.run(ctx); err != nil {
		return nil, err
	}
	q := &pool{db: db, present: func() error { return nil }}
	all, err := list(ctx, q, value[string],
		`SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name <> 'stepgate_migration' ORDER BY name`)
	if err != nil {
		return nil, err
	}
	tables := make([]table, len(all))
	for i, name := range all {
		if tables[i], err = describe(ctx, q, name); err != nil {
			return nil, err
		}
	}
	return parentsFirst(tables), nil
}

func describe(ctx context.Context, q querier, name string) (table, error) {
	t := table{name: name}
	places := map[int]column{}
	err := q.each(ctx, func(rows row) error {
		var c column
		var kind string
		var place int
		err := rows.Scan(&c.name, &kind, &place)
		c.text = kind == "TEXT"
		t.columns = append(t.columns, c)
		if place > 0 {
			places[place] = c
		}
		return err
	}, `SELECT name, type, pk FROM pragma_table_info($1) ORDER BY cid`, name)
	if err != nil {
		return t, err
	}
	for place := 1; place <= len(places); place++ {
		t.key = append(t.key, places[place])
	}
	if t.key == nil {
		t.key = t.columns
	}
	t.parents, err = list(ctx, q, value[string], `SELECT DISTINCT "table" FROM pragma_foreign_key_list($1)`, name)
	return t, err
}

// parentsFirst keeps the order of tables but for those that refer to later
// ones. No table refers to itself, or in a circle.
func parentsFirst(tables []table) []table {
	var sorted []table
	has := func(name string) bool {
		return slices.ContainsFunc(sorted, func(t table) bool { return t.name == name })
	}
	for len(sorted) < len(tables) {
		before := len(sorted)
		for _, t := range tables {
			if !has(t.name) && !slices.ContainsFunc(t.parents, func(p string) bool { return !has(p) }) {
				sorted = append(sorted, t)
			}
		}
		if len(sorted) == before {
			panic("sqldb: tables refer to each other in a circle")
		}
	}
	return sorted
}
