package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stepgate/stepgate/factors/oob"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/store"
	"github.com/stepgate/stepgate/internal/store/storetest"
	"github.com/stepgate/stepgate/internal/throttle"
	"github.com/stepgate/stepgate/policy"
)

// inTurns lets changes run in one transaction, in their order: turns are
// offered once all callers wait. It returns what each caller got, and the
// store.
func inTurns(t *testing.T, changes ...func(*tx) error) (*DB, []error) {
	t.Helper()
	db := openSchema(t, freshSchema(t), storetest.NewRing(t))
	p := db.engine.(*postgres)
	close(p.ended)
	p = &postgres{
		store: db, config: p.config, writers: p.writers, readers: p.readers, step: p.step,
		inTurn: make(chan *caller, len(changes)), ended: make(chan struct{}),
	}
	db.engine = p
	errs := make([]error, len(changes))
	shared := map[*sql.Tx]bool{}
	var all sync.WaitGroup
	for i, change := range changes {
		all.Go(func() {
			defer func() {
				if failed := recover(); failed != nil {
					errs[i] = failed.(error)
				}
			}()
			errs[i] = db.update(t.Context(), func(tx *tx) error {
				shared[tx.st.tx] = true
				return change(tx)
			})
		})
		for len(p.inTurn) <= i {
			time.Sleep(time.Millisecond)
		}
	}
	go p.takeTurns()
	all.Wait()
	if len(shared) != 1 {
		t.Errorf("%d callers who waited together had %d transactions", len(changes), len(shared))
	}
	if err := db.update(t.Context(), insert("afterwards")); err != nil {
		t.Errorf("the next transaction: %v", err)
	}
	return db, errs
}

func noted(name string) func(*tx) error {
	return func(t *tx) error {
		_, err := t.AppendEvent(context.Background(), audit.Event{Name: audit.UserCreated, Account: name})
		return errors.Join(insert(name)(t), err)
	}
}

// isKept looks for accounts, and for as many events in a whole trail.
func isKept(t *testing.T, db *DB, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := db.Account(t.Context(), account.ID(name)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	result, err := db.chain.Verify(audit.Walk(t.Context(), db, 0), audit.Expectation{})
	if err != nil || result.Break != nil || result.Records != int64(len(names)) {
		t.Errorf("the trail of %d has %+v, %v", len(names), result, err)
	}
}

// TestPostgresFailureInTurnIsItsOwn has neighbours that fail before, in and
// behind their statements, in what is sent late, where the server or the driver
// does not even take it, in reading an answer, and one that panics: what others
// do in the same transaction is kept, and the trail has no gap.
func TestPostgresFailureInTurnIsItsOwn(t *testing.T) {
	wrong := errors.New("wrong")
	failing := map[string]func(*tx) error{
		"at once": func(*tx) error { return wrong },
		"at last": func(t *tx) error { return errors.Join(noted("lost")(t), wrong) },
		"broken":  raw(`SELECT no_such`),
		"late":    func(t *tx) error { return t.q.later(context.Background(), `SELECT 1 / CAST($1 AS BIGINT)`, 0) },
		"untaken": func(t *tx) error { return t.q.later(context.Background(), `SELECT no_such`) },
		"unsaid":  func(t *tx) error { return t.q.later(context.Background(), `SELECT CAST($1 AS BIGINT)`, "one") },
		"unread": func(t *tx) error {
			noted("lost")(t)
			return t.q.soon(context.Background(), func(row) error { return wrong }, `SELECT id FROM account`)
		},
		"untaken behind others": func(t *tx) error {
			return errors.Join(noted("lost")(t), raw(`UPDATE feed_head SET seq = seq`)(t), t.q.later(context.Background(), `SELECT no_such`))
		},
		"panics":   func(t *tx) error { panic(errors.Join(noted("lost")(t), wrong)) },
		"swallows": func(t *tx) error { raw(`SELECT no_such`)(t); return nil },
	}
	changes, names := []func(*tx) error{noted("first")}, []string{"first"}
	for name, fails := range failing {
		changes, names = append(changes, fails, noted("behind "+name)), append(names, "behind "+name)
	}
	db, errs := inTurns(t, changes...)
	for i, err := range errs {
		if own := i%2 == 1; own != (err != nil) {
			t.Errorf("caller %d got %v", i, err)
		}
	}
	isKept(t, db, names...)
}

// TestPostgresInterruptedNeighbourDoesNoHarm ends a caller's context while the
// server is in the middle of its statement.
func TestPostgresInterruptedNeighbourDoesNoHarm(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	long := func(t *tx) error {
		time.AfterFunc(50*time.Millisecond, cancel)
		_, err := t.q.exec(ctx, `SELECT pg_sleep(0.5)`)
		<-ctx.Done()
		if err == nil {
			_, err = t.q.exec(ctx, `SELECT 1`)
		}
		return err
	}
	db, errs := inTurns(t, noted("one"), long, noted("two"))
	if errs[0] != nil || !errors.Is(errs[1], context.Canceled) || errs[2] != nil {
		t.Errorf("callers got %v", errs)
	}
	isKept(t, db, "one", "two")
}

// TestPostgresLostTransactionFailsAll loses the connection: nobody whose
// change is not kept may be told of success.
func TestPostgresLostTransactionFailsAll(t *testing.T) {
	db, errs := inTurns(t, noted("one"), raw(`SELECT pg_terminate_backend(pg_backend_pid())`))
	for i, err := range errs {
		if err == nil {
			t.Errorf("caller %d was told of success", i)
		}
	}
	isKept(t, db)
}

// TestPostgresFailedCommitFailsAll has the server find out at the commit alone
// that one of them must not be.
func TestPostgresFailedCommitFailsAll(t *testing.T) {
	late := func(t *tx) error {
		if err := raw(`CREATE TABLE probe (n BIGINT UNIQUE DEFERRABLE INITIALLY DEFERRED)`)(t); err != nil {
			return err
		}
		return raw(`INSERT INTO probe (n) VALUES (1), (1)`)(t)
	}
	db, errs := inTurns(t, noted("one"), late, noted("two"))
	for i, err := range errs {
		if err == nil {
			t.Errorf("caller %d was told of success", i)
		}
	}
	isKept(t, db)
}

// TestPostgresDoesNotWaitForOneWhoHasGone has callers leave while another node
// has the turn: one whose transaction waits for it, and one who waits behind.
func TestPostgresDoesNotWaitForOneWhoHasGone(t *testing.T) {
	dsn, ring := freshSchema(t), storetest.NewRing(t)
	here, there := openSchema(t, dsn, ring), openSchema(t, dsn, ring)
	entered, leave, ended := make(chan struct{}), make(chan struct{}), make(chan error)
	go func() {
		ended <- there.update(t.Context(), func(*tx) error { close(entered); <-leave; return nil })
	}()
	<-entered
	taken := &caller{turn: make(chan *turns), refused: make(chan error, 1), gone: make(chan struct{})}
	here.engine.(*postgres).inTurn <- taken // whose transaction now waits for the other node's
	close(taken.gone)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		ended <- here.update(ctx, func(*tx) error { t.Error("the change ran"); return nil })
	}()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("who has gone got %v", err)
	}
	close(leave)
	if err := errors.Join(<-ended, here.update(t.Context(), noted("one"))); err != nil {
		t.Error(err)
	}
	isKept(t, here, "one")
}

// TestPostgresLetsNobodyWaitWithoutEnd has many come while another node holds
// the turn: each gets its error after the time of one step, not one after the
// other.
func TestPostgresLetsNobodyWaitWithoutEnd(t *testing.T) {
	dsn, ring := freshSchema(t), storetest.NewRing(t)
	here, there := openSchema(t, dsn, ring), openSchema(t, dsn, ring)
	here.engine.(*postgres).step = time.Second
	entered, leave, ended := make(chan struct{}), make(chan struct{}), make(chan error)
	go func() {
		ended <- there.update(t.Context(), func(*tx) error { close(entered); <-leave; return nil })
	}()
	<-entered
	const callers = 200
	for range callers {
		go func() { ended <- here.update(t.Context(), func(*tx) error { t.Error("a change ran"); return nil }) }()
	}
	for range callers {
		select {
		case err := <-ended:
			if err == nil {
				t.Error("somebody was told of success")
			}
		case <-time.After(time.Minute): // one after the other they would take three
			t.Fatal("somebody still waits")
		}
	}
	close(leave)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestPostgresLongUpdateHoldsNobodyUp writes to the trail in the midst of a
// change that takes long, which comes in the trail behind it.
func TestPostgresLongUpdateHoldsNobodyUp(t *testing.T) {
	db := openSchema(t, freshSchema(t), storetest.NewRing(t))
	event := func(account string) audit.Event { return audit.Event{Name: audit.UserCreated, Account: account} }
	err := db.UpdateAtLength(t.Context(), func(tx store.Tx) error {
		if err := tx.InsertAccount(t.Context(), named("slow")); err != nil {
			return err
		}
		if _, err := db.AppendEvent(t.Context(), event("quick")); err != nil {
			return err
		}
		return db.update(t.Context(), insert("quick"))
	}, func(tx store.Tx) error { return tx.AppendEvents(t.Context(), []audit.Event{event("slow")}) })
	if err != nil {
		t.Fatal(err)
	}
	isKept(t, db, "quick", "slow")
	records, err := db.Events(t.Context(), audit.Query{})
	if err != nil || records[0].Account != "slow" {
		t.Errorf("the newest is %+v, %v", records[0], err)
	}
}

// TestPostgresLongUpdateOfTheSameName has a change that is in turn wait for what
// a long one has made, while that waits for its turn: one of them is tried
// again, and one has the name.
func TestPostgresLongUpdateOfTheSameName(t *testing.T) {
	db := openSchema(t, freshSchema(t), storetest.NewRing(t))
	same := named("same")
	same.Username = "jo"
	other := same
	other.ID, other.Subject = "other", "other"
	var errs [2]error
	begun := make(chan struct{})
	var once sync.Once
	var both sync.WaitGroup
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	both.Go(func() {
		errs[0] = db.UpdateAtLength(ctx, func(tx store.Tx) error {
			err := tx.InsertAccount(ctx, same)
			once.Do(func() { close(begun) })
			for err == nil && !waiting(t, db) {
				time.Sleep(time.Millisecond)
				err = ctx.Err()
			}
			return err
		}, func(tx store.Tx) error { return tx.AppendEvents(ctx, []audit.Event{{Name: audit.UserCreated}}) })
	})
	both.Go(func() {
		<-begun
		errs[1] = db.Update(ctx, func(tx store.Tx) error { return tx.InsertAccount(ctx, other) })
	})
	both.Wait()
	if (errs[0] == nil) == (errs[1] == nil) || !errors.Is(errors.Join(errs[:]...), account.ErrTaken) {
		t.Errorf("%v and %v", errs[0], errs[1])
	}
}

// TestPostgresSweepLeavesWhatIsRenewedMeanwhile has a sweep wait for a code and a
// counter that it has found to be over, and that are renewed under their keys.
func TestPostgresSweepLeavesWhatIsRenewedMeanwhile(t *testing.T) {
	db := openSchema(t, freshSchema(t), storetest.NewRing(t))
	slot := oob.Slot{Account: "jo", Session: "one", Purpose: "sign-in", Factor: policy.SMS}
	keys, now := []throttle.Key{{1}}, storetest.Noon.Add(2*throttle.Idle)
	sent := func(at time.Time) {
		err := db.ReplaceCode(t.Context(), slot, func(oob.Code) (oob.Code, error) {
			return oob.Code{Slot: slot, MAC: []byte("mac"), To: []byte("to"), SentAt: at, ExpiresAt: at.Add(time.Minute)}, nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	counted := func(at time.Time) func([]throttle.Counter) error {
		return func(c []throttle.Counter) error { c[0] = throttle.Counter{Count: c[0].Count + 1, At: at}; return nil }
	}
	if err := db.Counters(t.Context(), keys, counted(storetest.Noon)); err != nil {
		t.Fatal(err)
	}
	renewed := func(renew func(*tx) error) {
		swept := make(chan error)
		err := db.update(t.Context(), func(tx *tx) error {
			err := renew(tx)
			if err == nil {
				err = tx.st.flush(t.Context())
			}
			go func() { swept <- db.Purge(t.Context(), now) }()
			for err == nil && !waiting(t, db) {
				time.Sleep(time.Millisecond)
			}
			return err
		})
		if err := errors.Join(err, <-swept); err != nil {
			t.Fatal(err)
		}
	}
	renewed(func(tx *tx) error { return tx.counters(t.Context(), keys, counted(now)) })
	sent(storetest.Noon)
	renewed(func(tx *tx) error {
		return tx.q.later(t.Context(), `UPDATE one_time_code SET expires_at = $1`, instant(now.Add(time.Minute)))
	})
	if held, err := db.Code(t.Context(), slot); err != nil || held.MAC == nil {
		t.Errorf("of the code there is %+v, %v", held, err)
	}
	err := db.Counters(t.Context(), keys, func(c []throttle.Counter) error {
		if c[0].Count != 2 {
			t.Errorf("the counter is %+v", c[0])
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// waiting tells whether a transaction waits for another's row.
func waiting(t *testing.T, db *DB) bool {
	n, err := one(t.Context(), db.q, sql.ErrNoRows, value[int], `SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'`)
	return err != nil || n > 0
}
