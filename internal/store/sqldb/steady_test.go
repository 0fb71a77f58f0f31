package sqldb

import (
	"path/filepath"
	"testing"

	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/store/storetest"
)

// TestAStatementIsPreparedOnce counts what reading a session leaves behind: of
// a statement that SQLite prepares anew the driver describes the 31 columns
// anew, and leaves three times as much.
func TestAStatementIsPreparedOnce(t *testing.T) {
	db := openFile(t, filepath.Join(t.TempDir(), "stepgate.db"), storetest.NewRing(t))
	s := session.Session{ID: "s", Hash: session.NewIdentifier().Hash(), Account: "jo", CreatedAt: storetest.Noon, EndsAt: storetest.Noon.Add(3600e9)}
	if err := db.write(t.Context(), insert("jo")); err != nil {
		t.Fatal(err)
	}
	if err := db.InsertSession(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	read := func() {
		if _, _, err := db.SessionByHash(t.Context(), s.Hash, storetest.Noon); err != nil {
			t.Error(err)
		}
	}
	if n := testing.AllocsPerRun(100, read); n > 90 {
		t.Errorf("%v allocations: the statement is prepared at every use", n)
	}
}

func TestOnlyWhatSQLiteLooksAtIsSpeltOtherwise(t *testing.T) {
	for query, want := range map[string]string{
		`SELECT a FROM t WHERE b = $1 AND c >= $2 ORDER BY a LIMIT $3`: `SELECT a FROM t WHERE b = +$1 AND c >= +$2 ORDER BY a LIMIT +$3`,
		`UPDATE t SET a = $1 WHERE b LIKE $2 ESCAPE '!'`:               `UPDATE t SET a = +$1 WHERE b LIKE +$2 ESCAPE '!'`,
		`INSERT INTO t (a, b) VALUES ($1, $2)`:                         `INSERT INTO t (a, b) VALUES ($1, $2)`,
	} {
		for range 2 {
			if got := steady(query); got != want {
				t.Errorf("%s", got)
			}
		}
	}
}
