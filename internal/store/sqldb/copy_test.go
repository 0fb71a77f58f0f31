package sqldb

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/keys"
	"github.com/stepgate/stepgate/internal/store"
)

// filled makes a store in a file with something of most kinds in it.
func filled(t *testing.T) (path string, ring *keys.Ring) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "from.db")
	ring, err := keys.Create(filepath.Join(t.TempDir(), "key"), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	db := openFile(t, path, ring)
	now := time.Now().UTC().Truncate(time.Second)
	err = errors.Join(db.SaveKeys(t.Context(), ring.Checks(), ring.Primary(), now), db.Update(t.Context(), func(tx store.Tx) error {
		for i := range 3*batchRows + 7 {
			a := account.Account{
				ID: account.NewID(), Source: "local", Subject: fmt.Sprint("s", i), Username: fmt.Sprintf("Zoë%d", i),
				Name: "Zoë \U0001f512", Organisation: account.DefaultOrganisation, Role: account.RoleUser, TwoFactor: i%2 == 0, CreatedAt: now,
			}
			c := account.Credential{
				ID: account.NewCredentialID(), Account: a.ID, Factor: "totp", Label: "App", Secret: account.Secret("a secret"), Default: true, CreatedAt: now,
			}
			if err := errors.Join(tx.InsertAccount(t.Context(), a), tx.InsertCredential(t.Context(), c)); err != nil {
				return err
			}
			if _, err := tx.AppendEvent(t.Context(), audit.Event{Name: audit.UserCreated, Account: string(a.ID), Outcome: "success"}); err != nil {
				return err
			}
		}
		return nil
	}))
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	return path, ring
}

// works opens a copy as a gateway does, and looks for what was sealed.
func works(t *testing.T, db *DB) {
	t.Helper()
	a, err := db.AccountByUsername(t.Context(), "local", "zoë306")
	if err != nil || !a.TwoFactor {
		t.Fatalf("%+v, %v", a, err)
	}
	held, err := db.Credentials(t.Context(), a.ID)
	if err != nil || len(held) != 1 || string(held[0].Secret) != "a secret" || !held[0].Default {
		t.Errorf("%+v, %v", held, err)
	}
	last, err := db.LastEvent(t.Context())
	if err != nil || last.Seq == 0 {
		t.Errorf("%+v, %v", last, err)
	}
}

func rowsOf(t *testing.T, from, to Place) map[string]int64 {
	t.Helper()
	counts := map[string]int64{}
	if err := Copy(t.Context(), from, to, func(table string, rows int64) { counts[table] = rows }); err != nil {
		t.Fatal(err)
	}
	return counts
}

func TestACopyHoldsEveryRow(t *testing.T) {
	path, ring := filled(t)
	copied := filepath.Join(t.TempDir(), "to.db")
	counts := rowsOf(t, SQLiteAt(path), SQLiteAt(copied))
	if counts["account"] != 307 || counts["credential"] != 307 || counts["audit_event"] != 307 || counts["organisation"] != 1 || counts["feed_head"] != 1 {
		t.Errorf("%v", counts)
	}
	works(t, openFile(t, copied, ring))
}

func TestACopyGoesFromOneDialectToTheOtherAndBack(t *testing.T) {
	dsn := freshSchema(t)
	path, ring := filled(t)
	there := rowsOf(t, SQLiteAt(path), PostgresAt(dsn))
	db := openSchema(t, dsn, ring)
	works(t, db)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	back := filepath.Join(t.TempDir(), "back.db")
	if got := rowsOf(t, PostgresAt(dsn), SQLiteAt(back)); fmt.Sprint(got) != fmt.Sprint(there) {
		t.Errorf("%v, want %v", got, there)
	}
	works(t, openFile(t, back, ring))
}

// TestACopyThatWasInterruptedIsNoStoreAndGoesOn leaves one with its first
// tables, and lets the source change meanwhile.
func TestACopyThatWasInterruptedIsNoStoreAndGoesOn(t *testing.T) {
	path, ring := filled(t)
	copied := filepath.Join(t.TempDir(), "to.db")
	source, err := SQLiteAt(path).source(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	target, err := SQLiteAt(copied).target(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	tables, err := schema(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := copyTables(t.Context(), source, target, tables[:len(tables)/2]); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(source.close(), target.close()); err != nil {
		t.Fatal(err)
	}
	if db, err := OpenSQLite(t.Context(), copied, Options{Ring: ring, Chain: audit.NewChain(ring)}); !errors.Is(err, ErrUnfinished) {
		t.Errorf("%v, %v; want ErrUnfinished", db, err)
	}
	if err := Copy(t.Context(), SQLiteAt(copied), SQLiteAt(filepath.Join(t.TempDir(), "x.db")), nil); !errors.Is(err, ErrUnfinished) {
		t.Errorf("a copy of what is not finished: %v", err)
	}
	db := openFile(t, path, ring)
	zoe, err := db.AccountByUsername(t.Context(), "local", "zoë0")
	if err == nil {
		zoe.Name = "Zoe"
		err = db.Update(t.Context(), func(tx store.Tx) error {
			gone, err := tx.AccountByUsername(t.Context(), "local", "zoë1")
			return errors.Join(err, tx.UpdateAccount(t.Context(), zoe), tx.DeleteCredentials(t.Context(), gone.ID), tx.DeleteAccount(t.Context(), gone.ID))
		})
	}
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	if got := rowsOf(t, SQLiteAt(path), SQLiteAt(copied)); got["account"] != 306 {
		t.Errorf("%v", got)
	}
	works(t, openFile(t, copied, ring))
}

func TestACopyGoesIntoANewStoreOnly(t *testing.T) {
	path, ring := filled(t)
	other, _ := filled(t)
	if err := Copy(t.Context(), SQLiteAt(path), SQLiteAt(other), nil); !errors.Is(err, ErrInUse) {
		t.Errorf("into one in use: %v", err)
	}
	copied := filepath.Join(t.TempDir(), "to.db")
	for _, want := range []error{nil, ErrFinished} {
		if err := Copy(t.Context(), SQLiteAt(path), SQLiteAt(copied), func(string, int64) {}); !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	}
	used := openFile(t, copied, ring)
	works(t, used)
	if err := used.write(t.Context(), raw(`UPDATE account SET role = 'auditor'`)); err != nil {
		t.Fatal(err)
	}
	if err := Copy(t.Context(), SQLiteAt(path), SQLiteAt(copied), nil); !errors.Is(err, ErrInUse) {
		t.Errorf("into a copy that was used: %v", err)
	}
	missing := filepath.Join(t.TempDir(), "missing.db")
	if err := Copy(t.Context(), SQLiteAt(missing), SQLiteAt(path), nil); !errors.Is(err, ErrNoStore) {
		t.Errorf("of none: %v", err)
	}
	works(t, openFile(t, path, ring))
}

// TestWhatChangesDuringTheComparisonIsSeen writes to the source once its rows
// were copied.
func TestWhatChangesDuringTheComparisonIsSeen(t *testing.T) {
	path, ring := filled(t)
	copied := filepath.Join(t.TempDir(), "to.db")
	source, err := SQLiteAt(path).source(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer source.close()
	target, err := SQLiteAt(copied).target(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer target.close()
	tables, err := schema(t.Context())
	if err == nil {
		err = copyTables(t.Context(), source, target, tables)
	}
	if err != nil {
		t.Fatal(err)
	}
	db := openFile(t, path, ring)
	if _, err := db.AppendEvent(t.Context(), audit.Event{Name: audit.UserCreated, Outcome: "success"}); err != nil {
		t.Fatal(err)
	}
	if _, err := compareTables(t.Context(), source, target, tables); !errors.Is(err, ErrChanged) {
		t.Errorf("%v, want ErrChanged", err)
	}
}
