package sqldb

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/stepgate/stepgate/internal/keys"
	"github.com/stepgate/stepgate/policy"
)

// resealRows is how many rows are read at a time, and at most sealed again in
// one transaction.
const resealRows = 200

// sealedTable is a table with columns that the ring has sealed.
type sealedTable struct {
	name    string
	columns []string
	// key is the column that its rows are known by and read in the order of.
	key string
	// row are the columns that, as text, say which row it is and whose.
	row []string
	// lasts is set where rows stay for longer than an hour or a session.
	lasts bool
}

// sealedTables are all of them.
var sealedTables = []sealedTable{
	{name: "credential", columns: []string{"sealed_address", "sealed_secret"}, key: "id", row: []string{"id", "account", "factor"}, lasts: true},
	{name: "account_visits", columns: []string{"sealed_visits"}, key: "account", row: []string{"account"}, lasts: true},
	{name: "session_tie", columns: []string{"sealed_note"}, key: "session", row: []string{"session"}, lasts: true},
	{name: "challenge_transaction", columns: []string{"sealed_state"}},
	{name: "approval_request", columns: []string{"sealed_content"}},
	{name: "outbox", columns: []string{"sealed_message"}},
	{name: "kept_request", columns: []string{"sealed_head"}},
	{name: "kept_chunk", columns: []string{"sealed_bytes"}},
}

// KeyNeeds implements store.Store.
func (db *DB) KeyNeeds(ctx context.Context) ([]keys.Need, error) {
	rows := map[string]int64{}
	for _, t := range sealedTables {
		for _, column := range t.columns {
			err := db.q.each(ctx, func(found row) error {
				var id []byte
				var n int64
				err := found.Scan(&id, &n)
				rows[fmt.Sprintf("%x", id)] += n
				return err
			}, fmt.Sprintf(`SELECT substr(%[1]s, 2, 8), count(*) FROM %[2]s WHERE length(%[1]s) > 0 GROUP BY 1`, column, t.name))
			if err != nil {
				return nil, fmt.Errorf("count what is sealed: %w", err)
			}
		}
	}
	if db.bodies != nil {
		if err := db.bodies.keys(rows); err != nil {
			return nil, fmt.Errorf("count what is sealed: %w", err)
		}
	}
	var needs []keys.Need
	for id, n := range rows {
		needs = append(needs, keys.Need{What: keys.NeedRows, Key: id, Count: n})
	}
	standing, err := list(ctx, db.q, func(found row) (n keys.Need, err error) {
		return n, found.Scan(&n.What, &n.Key, &n.Count)
	}, `SELECT CASE WHEN factor = $1 THEN $2 ELSE $3 END AS what, mac_key, count(*) FROM credential WHERE factor IN ($1, $4, $5) GROUP BY 1, 2`,
		string(policy.BackupCode), keys.NeedBackupCodes, keys.NeedAnswers, string(policy.PIN), string(policy.SecurityQuestions))
	if err != nil {
		return nil, fmt.Errorf("count what stands on keys: %w", err)
	}
	return append(needs, standing...), nil
}

// Reseal implements store.Store. It holds nobody up: it reads outside of
// transactions, writes few rows in each, only where nobody else has meanwhile,
// and rests as long as it works. Several nodes may do it at once, and one that
// is killed leaves each row sealed by the one key or by the other.
func (db *DB) Reseal(ctx context.Context) error {
	var broken error
	for _, t := range sealedTables {
		if !t.lasts {
			continue
		}
		for after := ""; ; {
			began := time.Now()
			last, err := db.resealPage(ctx, t, after)
			if errors.Is(err, ErrUnsealed) {
				broken, err = errors.Join(broken, err), nil
			}
			if err != nil {
				return fmt.Errorf("seal %s again: %w", t.name, err)
			}
			if last == "" {
				break
			}
			after = last
			if err := rest(ctx, time.Since(began)); err != nil {
				return err
			}
		}
	}
	return broken
}

// sealedRow is a row of a sealedTable with its sealed columns, as they are and
// as they are to be.
type sealedRow struct {
	row         []string
	sealed, now [][]byte
}

// resealPage does the rows behind one, and gives the last of them, "" where
// there were none. An ErrUnsealed leaves that row alone.
func (db *DB) resealPage(ctx context.Context, t sealedTable, after string) (last string, broken error) {
	page, err := list(ctx, db.q, t.scan,
		fmt.Sprintf(`SELECT %s, %s FROM %s WHERE %s > $1 ORDER BY %[4]s LIMIT %d`, strings.Join(t.row, ", "), strings.Join(t.columns, ", "), t.name, t.key, resealRows), after)
	if err != nil || len(page) == 0 {
		return "", err
	}
	var stale []sealedRow
	for _, r := range page {
		changed, err := db.reseal(t, &r)
		if err != nil {
			broken = errors.Join(broken, err)
		} else if changed {
			stale = append(stale, r)
		}
	}
	if len(stale) > 0 {
		if err := db.write(ctx, func(w *tx) error { return w.putResealed(ctx, t, stale) }); err != nil {
			return "", err
		}
	}
	return page[len(page)-1].row[0], broken
}

func (t sealedTable) scan(rows row) (r sealedRow, err error) {
	r.row, r.sealed = make([]string, len(t.row)), make([][]byte, len(t.columns))
	into := make([]any, 0, len(t.row)+len(t.columns))
	for i := range r.row {
		into = append(into, &r.row[i])
	}
	for i := range r.sealed {
		into = append(into, &r.sealed[i])
	}
	return r, rows.Scan(into...)
}

// reseal fills in what the row's columns are to be, and tells whether that is
// another thing.
func (db *DB) reseal(t sealedTable, r *sealedRow) (changed bool, err error) {
	r.now = make([][]byte, len(r.sealed))
	for i, sealed := range r.sealed {
		if r.now[i] = sealed; db.ring.Current(sealed) {
			continue
		}
		c := cell{t.name + "." + t.columns[i], r.row}
		plain, err := c.open(db.ring, sealed)
		if err == nil {
			r.now[i], err = c.seal(db.ring, plain)
		}
		clear(plain)
		if err != nil {
			return false, err
		}
		changed = true
	}
	return changed, nil
}

// putResealed writes rows that nobody else has changed meanwhile.
func (t *tx) putResealed(ctx context.Context, in sealedTable, rows []sealedRow) error {
	var set, same []string
	n := len(in.columns)
	for i, column := range in.columns {
		set = append(set, fmt.Sprintf("%s = $%d", column, 1+i))
		same = append(same, fmt.Sprintf("%s = $%d", column, 2+n+i))
	}
	query := fmt.Sprintf(`UPDATE %s SET %s WHERE %s = $%d AND %s`, in.name, strings.Join(set, ", "), in.key, 1+n, strings.Join(same, " AND "))
	for _, r := range rows {
		var args []any
		for _, sealed := range r.now {
			args = append(args, sealed)
		}
		args = append(args, r.row[0])
		for _, sealed := range r.sealed {
			args = append(args, sealed)
		}
		if _, err := t.q.exec(ctx, query, args...); err != nil {
			return err
		}
	}
	return nil
}
