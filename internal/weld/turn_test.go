package weld

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestOthersWaitForTheOneThatMayChangeThePerson(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var turns Turns
		change, err := turns.Change(t.Context(), "s")
		if err != nil {
			t.Fatal(err)
		}
		other, err := turns.Use(t.Context(), "another session")
		if err != nil || other.Doubtful() {
			t.Fatalf("another session waits: %v", err)
		}
		got := make(chan error, 2)
		go func() {
			u, err := turns.Use(t.Context(), "s")
			if err == nil && u.Doubtful() {
				err = errors.New("in doubt")
			}
			got <- err
		}()
		synctest.Wait()
		if len(got) != 0 {
			t.Fatal("it did not wait")
		}
		change.Done()
		change.Done()
		if err := <-got; err != nil {
			t.Fatal(err)
		}
	})
}

func TestWhoWaitedForASessionThatEndedIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var turns Turns
		change, _ := turns.Change(t.Context(), "s")
		got := make(chan error, 2)
		go func() { _, err := turns.Use(t.Context(), "s"); got <- err }()
		go func() { _, err := turns.Change(t.Context(), "s"); got <- err }()
		synctest.Wait()
		turns.End("s", time.Now().Add(time.Hour), time.Now())
		change.Done()
		for range 2 {
			if err := <-got; !errors.Is(err, ErrEnded) {
				t.Errorf("%v, want ErrEnded", err)
			}
		}
		// One that found the session just before, and comes late.
		if _, err := turns.Use(t.Context(), "s"); !errors.Is(err, ErrEnded) || !turns.Ended("s") {
			t.Errorf("%v, want ErrEnded", err)
		}
		time.Sleep(2 * time.Hour)
		turns.End("t", time.Now().Add(time.Hour), time.Now())
		if turns.Ended("s") || !turns.Ended("t") {
			t.Error("the mark does not go with its time")
		}
	})
}

func TestPatienceEndsInDoubtOrRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var turns Turns
		change, _ := turns.Change(t.Context(), "s")
		use, err := turns.Use(t.Context(), "s")
		if err != nil || !use.Doubtful() {
			t.Errorf("a reader behind a long upload: %v", err)
		}
		if _, err := turns.Change(t.Context(), "s"); !errors.Is(err, ErrBusy) {
			t.Errorf("a second one that may change: %v, want ErrBusy", err)
		}
		change.Done()
		if !use.Doubtful() {
			t.Error("what began in doubt is not any more")
		}
		use.Done()

		// A reader that is not answered is overtaken, and knows.
		poll, _ := turns.Use(t.Context(), "s")
		if poll.Doubtful() {
			t.Error("in doubt from the start")
		}
		change, err = turns.Change(t.Context(), "s")
		if err != nil || !poll.Doubtful() {
			t.Errorf("overtaken: %v", err)
		}
		change.Done()
		poll.Done()
		// Behind a login nobody goes late.
		login, err := turns.Login(t.Context(), "s")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := turns.Use(t.Context(), "s"); !errors.Is(err, ErrBusy) {
			t.Errorf("a reader behind a login: %v, want ErrBusy", err)
		}
		login.Done()
		use, err = turns.Use(t.Context(), "s")
		if err != nil || use.Doubtful() {
			t.Errorf("after it: %v", err)
		}
		use.Done()
		if len(turns.queue) != 0 {
			t.Error("something is kept of sessions that are quiet")
		}
	})
}

func TestWaitingEndsWithTheRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var turns Turns
		change, _ := turns.Change(t.Context(), "s")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := turns.Use(ctx, "s"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		change.Done()
		if len(turns.queue) != 0 {
			t.Error("it is still waited for")
		}
	})
}

func TestLoginsWithOneValueTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var turns Turns
		a, b, c := Hash{1}, Hash{2}, Hash{3}
		done, err := turns.Logins(t.Context(), []Hash{b, a, b})
		if err != nil {
			t.Fatal(err)
		}
		free, err := turns.Logins(t.Context(), []Hash{c})
		if err != nil {
			t.Fatalf("another value waits: %v", err)
		}
		free()
		if _, err := turns.Logins(t.Context(), []Hash{c, b}); !errors.Is(err, ErrBusy) {
			t.Errorf("%v, want ErrBusy", err)
		}
		got := make(chan error, 1)
		go func() {
			done, err := turns.Logins(t.Context(), []Hash{a, c})
			if err == nil {
				done()
			}
			got <- err
		}()
		synctest.Wait()
		if len(got) != 0 {
			t.Fatal("it did not wait")
		}
		done()
		if err := <-got; err != nil {
			t.Fatal(err)
		}
		if len(turns.queue) != 0 {
			t.Errorf("%d queues are left", len(turns.queue))
		}
	})
}
