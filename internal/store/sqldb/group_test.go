package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/mattn/go-sqlite3"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/store"
	"github.com/stepgate/stepgate/internal/store/storetest"
)

func named(name string) account.Account {
	return account.Account{ID: account.ID(name), Source: account.LocalSource, Subject: name, Username: name, Role: account.RoleUser}
}

// inOneGroup lets changes run in one group: the first has its turn until all
// others wait. It returns what each caller got, and checks that they shared a
// transaction. prepare may be nil.
func inOneGroup(t *testing.T, prepare func(*DB), changes ...func(*tx) error) []error {
	t.Helper()
	errs := make([]error, len(changes))
	path, ring := filepath.Join(t.TempDir(), "stepgate.db"), storetest.NewRing(t)
	synctest.Test(t, func(t *testing.T) {
		db := openFile(t, path, ring)
		if prepare != nil {
			prepare(db)
		}
		var all sync.WaitGroup
		shared := map[*sql.Tx]bool{}
		call := func(i int, before func()) {
			all.Go(func() {
				errs[i] = db.write(t.Context(), func(tx *tx) error {
					before()
					shared[tx.st.tx] = true
					return changes[i](tx)
				})
			})
		}
		leave := make(chan struct{})
		call(0, func() { <-leave })
		synctest.Wait() // the first has its turn
		for i := 1; i < len(changes); i++ {
			call(i, func() {})
		}
		synctest.Wait() // all others wait
		close(leave)
		all.Wait()
		if len(shared) != 1 {
			t.Errorf("%d callers who waited together had %d transactions", len(changes), len(shared))
		}
		if err := db.write(t.Context(), insert("afterwards")); err != nil {
			t.Errorf("the next group: %v", err)
		}
	})
	return errs
}

func insert(name string) func(*tx) error {
	return func(t *tx) error { return t.InsertAccount(context.Background(), named(name)) }
}

func raw(query string) func(*tx) error {
	return func(t *tx) error {
		_, err := t.q.exec(context.Background(), query)
		return err
	}
}

func TestWaitingCallersShareOneCommit(t *testing.T) {
	var changes []func(*tx) error
	for i := range groupTurns {
		changes = append(changes, insert(strconv.Itoa(i)))
	}
	if err := errors.Join(inOneGroup(t, nil, changes...)...); err != nil {
		t.Error(err)
	}
}

func TestFailedCommitFailsAll(t *testing.T) {
	orphan := func(t *tx) error {
		if err := raw(`PRAGMA defer_foreign_keys = on`)(t); err != nil {
			return err
		}
		return raw(`UPDATE account SET organisation = 'no such' WHERE id = 'one'`)(t)
	}
	for i, err := range inOneGroup(t, nil, insert("one"), orphan, insert("two")) {
		if err == nil {
			t.Errorf("caller %d was told of success", i)
		}
	}
}

// TestLostTransactionFailsAll does what SQLite does by itself when the disk
// is full.
func TestLostTransactionFailsAll(t *testing.T) {
	errs := inOneGroup(t, nil, insert("one"), raw(`ROLLBACK`))
	for i, err := range errs {
		if err == nil {
			t.Errorf("caller %d was told of success", i)
		}
	}
}

func TestFailureInGroupIsItsOwn(t *testing.T) {
	wrong := errors.New("wrong")
	errs := inOneGroup(t, nil, insert("one"), func(t *tx) error { return errors.Join(insert("two")(t), wrong) }, raw(`SELECT no_such`), insert("three"))
	if errs[0] != nil || !errors.Is(errs[1], wrong) || errs[2] == nil || errs[3] != nil {
		t.Errorf("callers got %v", errs)
	}
}

// TestInterruptedNeighbourDoesNoHarm ends a caller's context while SQLite is
// in the middle of its statement.
func TestInterruptedNeighbourDoesNoHarm(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancelling := func(db *DB) {
		conn, err := db.engine.(*sqlite).db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		err = conn.Raw(func(c any) error {
			return c.(*sqlite3.SQLiteConn).RegisterFunc("cancelled", func() int64 { cancel(); return 1 }, false)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	long := func(t *tx) error {
		_, err := t.q.exec(ctx, `INSERT INTO key_check (value)
			WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000)
			SELECT 'x' || i FROM n WHERE i > 1 OR cancelled() = 1`)
		if err == nil {
			_, err = t.q.exec(ctx, `DELETE FROM key_check`)
		}
		return err
	}
	errs := inOneGroup(t, cancelling, insert("one"), long, insert("two"))
	if errs[0] != nil || !errors.Is(errs[1], context.Canceled) || errs[2] != nil {
		t.Errorf("callers got %v", errs)
	}
}

// TestNobodyIsAcknowledgedByACommitThatWaitsForNoDisk mixes changes that wait
// for the disk with such that do not, and looks at each group as it commits.
func TestNobodyIsAcknowledgedByACommitThatWaitsForNoDisk(t *testing.T) {
	db := openFile(t, filepath.Join(t.TempDir(), "stepgate.db"), storetest.NewRing(t))
	var all sync.WaitGroup
	for i := range 60 {
		write, lazy := db.write, i%3 != 0
		if lazy {
			write = db.writeLazily
		}
		all.Go(func() {
			err := write(t.Context(), func(tx *tx) error {
				mode, err := one(t.Context(), tx.q, errNoHead, value[int], `PRAGMA synchronous`)
				if err == nil && !lazy && mode != 2 {
					err = fmt.Errorf("a change that waits for the disk is in a transaction of mode %d", mode)
				}
				if err == nil {
					err = tx.InsertAccount(t.Context(), named(fmt.Sprint("jo", i)))
				}
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for i := range 60 {
		if _, err := db.Account(t.Context(), account.ID(fmt.Sprint("jo", i))); err != nil {
			t.Error(err)
		}
	}
}

// TestWhoCannotJoinAGroupBeginsTheNext has somebody else wait behind one whose
// change is by itself: among many who write it would never be the first.
func TestWhoCannotJoinAGroupBeginsTheNext(t *testing.T) {
	path, ring := filepath.Join(t.TempDir(), "stepgate.db"), storetest.NewRing(t)
	synctest.Test(t, func(t *testing.T) {
		db := openFile(t, path, ring)
		var all sync.WaitGroup
		var order []string
		leave := make(chan struct{})
		call := func(name string, write func(change func(store.Tx) error) error) {
			all.Go(func() {
				err := write(func(store.Tx) error {
					order = append(order, name)
					if name == "first" {
						<-leave
					}
					return nil
				})
				if err != nil {
					t.Errorf("%s: %v", name, err)
				}
			})
			synctest.Wait()
		}
		update := func(change func(store.Tx) error) error { return db.Update(t.Context(), change) }
		call("first", update)
		call("long", func(change func(store.Tx) error) error {
			return db.UpdateAtLength(t.Context(), change, func(store.Tx) error { return nil })
		})
		over, cancel := context.WithCancel(t.Context())
		all.Go(func() {
			if err := db.UpdateAtLength(over, func(store.Tx) error { return nil }, func(store.Tx) error { return nil }); !errors.Is(err, context.Canceled) {
				t.Errorf("who has gone got %v", err)
			}
		})
		synctest.Wait()
		cancel()
		call("behind", update)
		close(leave)
		all.Wait()
		if want := []string{"first", "long", "behind"}; !slices.Equal(order, want) {
			t.Errorf("the order is %q, want %q", order, want)
		}
	})
}
