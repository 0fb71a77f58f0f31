package storetest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/store"
)

func testUpdate(t *testing.T, f *fixture) {
	f.run(t, "ErrorComesBackAsItIs", func(t *testing.T, b *bench) {
		a := newAccount("jo")
		err := b.Update(t.Context(), func(tx store.Tx) error {
			if err := tx.InsertAccount(t.Context(), a); err != nil {
				return err
			}
			if _, err := tx.Account(t.Context(), a.ID); err != nil {
				t.Errorf("a transaction does not see its own change: %v", err)
			}
			return errSpent
		})
		if err != errSpent {
			t.Errorf("error is %v", err)
		}
		_, err = b.Account(t.Context(), a.ID)
		b.is(err, account.ErrNotFound)
	})
	f.run(t, "FailuresOfOthersAreTheirOwn", testIsolation)
	f.run(t, "WhatTakesLongIsWholeOrNothing", testUpdateAtLength)
	f.run(t, "AfterTechnicalFailureNothingIsKept", func(t *testing.T, b *bench) {
		a := newAccount("jo")
		err := b.Update(t.Context(), func(tx store.Tx) error {
			if err := tx.InsertAccount(t.Context(), a); err != nil {
				return err
			}
			over, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := tx.Account(over, a.ID); !errors.Is(err, context.Canceled) {
				t.Errorf("statement under a context that is over: %v", err)
			}
			if _, err := tx.Account(t.Context(), a.ID); err == nil {
				t.Error("a statement ran after one had failed")
			}
			return nil
		})
		b.is(err, context.Canceled)
		_, err = b.Account(t.Context(), a.ID)
		b.is(err, account.ErrNotFound)
	})
	f.run(t, "EndedContextIsNotRun", func(t *testing.T, b *bench) {
		over, cancel := context.WithCancel(t.Context())
		cancel()
		b.is(b.Update(over, func(store.Tx) error { t.Error("change ran"); return nil }), context.Canceled)
	})
	f.run(t, "ContextThatEndsWhileWaiting", func(t *testing.T, b *bench) {
		entered, leave := make(chan struct{}), make(chan struct{})
		var first sync.WaitGroup
		first.Go(func() {
			b.Update(t.Context(), func(store.Tx) error { close(entered); <-leave; return nil })
		})
		<-entered
		ctx, cancel := context.WithCancel(t.Context())
		var second sync.WaitGroup
		second.Go(func() {
			b.is(b.Update(ctx, func(store.Tx) error { t.Error("change ran"); return nil }), context.Canceled)
		})
		cancel()
		second.Wait() // while the first still has its turn
		close(leave)
		first.Wait()
	})
	f.run(t, "ContextThatEndsAfterTheChangeIsNoFailure", func(t *testing.T, b *bench) {
		for i := range 20 {
			a := newAccount(numbered("p", i))
			ctx, cancel := context.WithCancel(t.Context())
			err := b.Update(ctx, func(tx store.Tx) error {
				defer time.AfterFunc(time.Duration(i)*100*time.Microsecond, cancel)
				return tx.InsertAccount(ctx, a)
			})
			cancel()
			_, found := b.Account(t.Context(), a.ID)
			if (err == nil) != (found == nil) {
				t.Fatalf("Update said %v, the account is there: %v", err, found == nil)
			}
		}
	})
	f.run(t, "CancelledNeighboursDoNoHarm", func(t *testing.T, b *bench) {
		b.all(race(callers, func(i int) error {
			for j := range 10 {
				ctx, cancel := context.WithCancel(t.Context())
				if i%2 == 1 {
					time.AfterFunc(time.Duration(i*j)*10*time.Microsecond, cancel)
				}
				a := newAccount(numbered(numbered("p", i), j))
				err := b.Update(ctx, func(tx store.Tx) error { return tx.InsertAccount(ctx, a) })
				cancelled := ctx.Err() != nil
				cancel()
				_, missing := b.Account(t.Context(), a.ID)
				if (err == nil) != (missing == nil) || err != nil && !cancelled {
					return fmt.Errorf("update said %w; reading the account: %w", err, missing)
				}
			}
			return nil
		}))
	})
	f.run(t, "ClosedStoreRefuses", func(t *testing.T, b *bench) {
		b.must(b.Close())
		if err := b.Update(t.Context(), func(store.Tx) error { return nil }); err == nil {
			t.Error("a closed store took a change")
		}
		if _, err := b.Account(t.Context(), "x"); err == nil || errors.Is(err, account.ErrNotFound) {
			t.Errorf("a closed store answered: %v", err)
		}
	})
	f.run(t, "CloseWaitsForWriters", func(t *testing.T, b *bench) {
		entered := make(chan struct{})
		a := newAccount("jo")
		var writing sync.WaitGroup
		writing.Go(func() {
			if err := b.Update(t.Context(), func(tx store.Tx) error {
				close(entered)
				runtime.Gosched()
				return tx.InsertAccount(t.Context(), a)
			}); err != nil {
				t.Errorf("a change that had begun: %v", err)
			}
		})
		<-entered
		b.must(b.Close())
		writing.Wait()
	})
}

// testIsolation lets changes fail, panic and end their goroutine among others
// that succeed.
func testIsolation(t *testing.T, b *bench) {
	people := make([]account.Account, callers)
	for i := range people {
		people[i] = newAccount(numbered("p", i))
	}
	var all sync.WaitGroup
	start := make(chan struct{})
	for i := range callers {
		all.Go(func() {
			<-start
			defer func() {
				if caught := recover(); (caught == "panic of change") != (i%4 == 2) {
					t.Errorf("caller %d caught %v", i, caught)
				}
			}()
			err := b.Update(t.Context(), func(tx store.Tx) error {
				if err := tx.InsertAccount(t.Context(), people[i]); err != nil {
					return err
				}
				switch i % 4 {
				case 1:
					return errSpent
				case 2:
					panic("panic of change")
				case 3:
					runtime.Goexit()
				}
				return nil
			})
			if i%4 == 0 && err != nil || i%4 == 1 && err != errSpent {
				t.Errorf("caller %d: %v", i, err)
			}
		})
	}
	close(start)
	all.Wait()
	for i, a := range people {
		_, err := b.Account(t.Context(), a.ID)
		if i%4 == 0 {
			b.must(err)
		} else {
			b.is(err, account.ErrNotFound)
		}
	}
	b.person("afterwards")
}

func testUpdateAtLength(t *testing.T, b *bench) {
	var all []account.Account
	var events []audit.Event
	for i := range 500 { // more than one statement takes
		a := newAccount(numbered("town", i))
		all = append(all, a)
		events = append(events, audit.Event{At: Noon, Name: audit.UserCreated, Account: string(a.ID)})
	}
	none := func() {
		b.Helper()
		found, err := b.AccountsNamed(t.Context(), account.FoldUsername(all[0].Username), account.FoldUsername(all[499].Username))
		b.must(err)
		if len(found) > 0 {
			b.Errorf("%d of accounts that could not be kept", len(found))
		}
		b.chainHolds(0)
	}
	insert := func(tx store.Tx) error { return tx.InsertAccounts(t.Context(), all) }
	record := func(tx store.Tx) error { return tx.AppendEvents(t.Context(), events) }

	b.is(b.UpdateAtLength(t.Context(), func(tx store.Tx) error { return errors.Join(insert(tx), errSpent) }, func(store.Tx) error {
		t.Error("the end of what has failed was begun")
		return nil
	}), errSpent)
	none()
	b.is(b.UpdateAtLength(t.Context(), insert, func(tx store.Tx) error { return errors.Join(record(tx), errSpent) }), errSpent)
	none()
	b.is(b.UpdateAtLength(t.Context(), func(tx store.Tx) error {
		last := all[499]
		last.ID, last.Subject = "another", "another"
		return tx.InsertAccounts(t.Context(), append(all[:499:499], all[498], last))
	}, record), account.ErrTaken)
	none()
	b.must(b.UpdateAtLength(t.Context(), insert, record))
	b.chainHolds(len(all))
	for _, a := range []account.Account{all[0], all[250], all[499]} {
		got, err := b.Account(t.Context(), a.ID)
		b.must(err)
		b.same(got, a)
		found, err := b.Accounts(t.Context(), account.Filter{Query: a.Username})
		b.must(err)
		b.same(found, []account.Account{a})
	}
	many := []string{"nobody"}
	for _, a := range all {
		many = append(many, a.Subject)
	}
	found, err := b.AccountsBySubject(t.Context(), account.LocalSource, append(many, many...)) // asked for in parts
	b.must(err)
	if len(found) < len(all) {
		b.Errorf("%d accounts of %d by their subjects", len(found), len(all))
	}
	_, err = b.AppendEvent(t.Context(), audit.Event{Name: audit.LoginSuccess})
	b.must(err)
	b.chainHolds(len(all) + 1)
}
