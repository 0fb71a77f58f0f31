package sqldb

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Place is where a store is.
type Place struct {
	postgres bool
	// at is the file, or the DSN.
	at string
}

// SQLiteAt is the store in the file at path.
func SQLiteAt(path string) Place { return Place{at: path} }

// PostgresAt is the store that a DSN leads to.
func PostgresAt(dsn string) Place { return Place{at: dsn, postgres: true} }

// String is the place without what is secret in it.
func (p Place) String() string {
	if !p.postgres {
		return "sqlite " + p.at
	}
	u, err := url.Parse(p.at)
	if err != nil {
		return "postgres"
	}
	return "postgres " + u.Host + u.Path
}

// source opens a store to read it.
func (p Place) source(ctx context.Context) (*side, error) {
	exists, err := p.exists(ctx)
	if err != nil {
		return nil, err
	}
	if !exists {
		return nil, ErrNoStore
	}
	s, err := p.open(ctx)
	if err != nil {
		return nil, err
	}
	version, err := one(ctx, s.querier(), sql.ErrNoRows, value[int], `SELECT MAX(version) FROM stepgate_migration`)
	if err == nil {
		err = s.fits(version)
	}
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *side) fits(version int) error {
	files, err := fs.Glob(steps(s.dialect()), "*.sql")
	known := len(files)
	switch {
	case err != nil:
		return err
	case version >= unfinished:
		return ErrUnfinished
	case version > known:
		return ErrNewer
	case version < known:
		return ErrOlder
	}
	return nil
}

// target opens a store to write it, and makes it where there is none.
func (p Place) target(ctx context.Context) (*side, error) {
	if !p.postgres {
		if _, err := prepareFile(p.at); err != nil {
			return nil, err
		}
	}
	s, err := p.open(ctx)
	if err != nil {
		return nil, err
	}
	m := migrator{db: s.db, files: steps(s.dialect()), lock: func(ctx context.Context, q querier) error {
		if p.postgres {
			return lockPostgres(ctx, q, "migration")
		}
		return nil
	}}
	switch err = m.run(ctx); {
	case errors.Is(err, ErrUnfinished):
		err = nil
	case err == nil:
		err = s.claim(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, s.readBooleans(ctx)
}

func (p Place) exists(ctx context.Context) (bool, error) {
	if p.postgres {
		return PostgresExists(ctx, p.at)
	}
	return SQLiteExists(ctx, p.at)
}

func (p Place) open(ctx context.Context) (*side, error) {
	if p.postgres {
		config, err := pgx.ParseConfig(p.at)
		if err != nil {
			return nil, errDSN
		}
		pooled, err := meetPooler(ctx, config)
		if err != nil {
			return nil, err
		}
		db := openPool(config, 4, pooled)
		return &side{db: db, reading: db, postgres: true}, nil
	}
	db, err := sql.Open("sqlite3", sqliteDSN(p.at, url.Values{"_txlock": {"immediate"}}))
	if err != nil {
		return nil, err
	}
	reading, err := sql.Open("sqlite3", sqliteDSN(p.at, url.Values{"_query_only": {"true"}}))
	return &side{db: db, reading: reading}, err
}

// side is one of the two stores of a copy.
type side struct {
	// reading has transactions that keep nobody from writing.
	db, reading *sql.DB
	postgres    bool
	// booleans are its columns, TABLE.COLUMN, that are numbers in SQLite.
	booleans map[string]bool
}

func (s *side) querier() querier { return &pool{db: s.reading, present: func() error { return nil }} }

func (s *side) close() error { return errors.Join(s.reading.Close(), s.db.Close()) }

func (s *side) dialect() string {
	if s.postgres {
		return "postgres"
	}
	return "sqlite"
}

func (s *side) readBooleans(ctx context.Context) error {
	if !s.postgres {
		return nil
	}
	s.booleans = map[string]bool{}
	all, err := list(ctx, s.querier(), value[string],
		`SELECT table_name || '.' || column_name FROM information_schema.columns WHERE table_schema = current_schema() AND data_type = 'boolean'`)
	for _, name := range all {
		s.booleans[name] = true
	}
	return err
}

// snapshot is what the store holds now, whatever is written meanwhile.
func (s *side) snapshot(ctx context.Context) (snapshot, error) {
	o := sql.TxOptions{ReadOnly: true}
	if s.postgres {
		o.Isolation = sql.LevelRepeatableRead
	}
	tx, err := s.reading.BeginTx(ctx, &o)
	return snapshot{s, tx}, err
}

// rows reads a table in the order of its key, which is that of bytes and
// numbers in both dialects.
func (s snapshot) rows(ctx context.Context, t table) (*cursor, error) {
	order := make([]string, len(t.key))
	for i, c := range t.key {
		order[i] = c.quoted()
		if c.text && s.postgres {
			order[i] += ` COLLATE "C"`
		}
	}
	rows, err := s.tx.QueryContext(ctx, "SELECT "+names(t.columns)+` FROM "`+t.name+`" ORDER BY `+strings.Join(order, ", "))
	if err != nil {
		return nil, err
	}
	c := &cursor{rows: rows, width: len(t.columns)}
	if err := c.next(); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// cursor stands at a row; row is nil behind the last.
type cursor struct {
	rows  *sql.Rows
	width int
	row   []any
}

func (c *cursor) close() { c.rows.Close() }

func (c *cursor) next() error {
	if !c.rows.Next() {
		c.row = nil
		return c.rows.Err()
	}
	c.row = make([]any, c.width)
	into := make([]any, c.width)
	for i := range into {
		into[i] = &c.row[i]
	}
	if err := c.rows.Scan(into...); err != nil {
		return err
	}
	for i, v := range c.row {
		if truth, ok := v.(bool); ok {
			c.row[i] = int64(0)
			if truth {
				c.row[i] = int64(1)
			}
		}
	}
	return nil
}

func sameRow(a, b []any) bool {
	return slices.EqualFunc(a, b, func(x, y any) bool { return compareValues(x, y) == 0 })
}

// compareKeys orders rows by their key; nil is behind every row.
func compareKeys(t table, a, b []any) int {
	if a == nil || b == nil {
		return cmp.Compare(len(b), len(a))
	}
	for _, k := range t.key {
		i := slices.Index(t.columns, k)
		if order := compareValues(a[i], b[i]); order != 0 {
			return order
		}
	}
	return 0
}

// compareValues orders what columns hold: integers, bytes and text. Values of
// two kinds are never the same.
func compareValues(a, b any) int {
	switch a := a.(type) {
	case int64:
		if b, ok := b.(int64); ok {
			return cmp.Compare(a, b)
		}
	case []byte:
		if b, ok := b.([]byte); ok {
			return bytes.Compare(a, b)
		}
	case string:
		if b, ok := b.(string); ok {
			return cmp.Compare(a, b)
		}
	case nil:
		if b == nil {
			return 0
		}
	}
	return cmp.Compare(fmt.Sprintf("%T", a), fmt.Sprintf("%T", b))
}
