package throttle_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepgate/stepgate/internal/throttle"
)

var waits = []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute}

func attempts(budget throttle.Attempts) throttle.Charge {
	return throttle.Charge{Key: key("near", "joe"), Which: "near", Budget: budget}
}

// fail spends once and does not give back; it returns how long it has to wait
// when refused, or -1 for never.
func fail(t *testing.T, l *throttle.Ledger, charges ...throttle.Charge) time.Duration {
	t.Helper()
	_, err := l.Spend(t.Context(), charges...)
	var spent *throttle.Spent
	switch {
	case err == nil:
		return 0
	case !errors.As(err, &spent) || !errors.Is(err, throttle.ErrSpent):
		t.Fatal(err)
		return 0
	case spent.Disabled:
		return -1
	default:
		return spent.RetryAfter
	}
}

func TestAttemptsImposeTheDelaysInTurnAfterTheFreeOnes(t *testing.T) {
	l, _, now := newLedger(t)
	charge := attempts(throttle.Attempts{Free: 5, Delays: waits, Decay: time.Hour})
	for n := range 5 {
		if wait := fail(t, l, charge); wait != 0 {
			t.Fatalf("try %d has to wait %s", n+1, wait)
		}
	}
	var got []time.Duration
	for range 5 {
		wait := fail(t, l, charge)
		got = append(got, wait)
		now.move(wait - time.Millisecond)
		if fail(t, l, charge) == 0 {
			t.Fatal("a millisecond early was accepted")
		}
		now.move(time.Millisecond)
		if wait := fail(t, l, charge); wait != 0 {
			t.Fatalf("after the wait: wait %s more", wait)
		}
	}
	want := []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute, 2 * time.Minute, 2 * time.Minute}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAttemptsAreForgottenAfterQuiet(t *testing.T) {
	l, _, now := newLedger(t)
	charge := attempts(throttle.Attempts{Free: 2, Delays: waits, Decay: time.Hour})
	fail(t, l, charge)
	fail(t, l, charge)
	now.move(30*time.Second + time.Hour - time.Millisecond)
	fail(t, l, charge)
	if wait := fail(t, l, charge); wait != time.Minute {
		t.Errorf("a millisecond before the quiet is over the count went: wait %s", wait)
	}
	now.move(time.Minute + time.Hour)
	fail(t, l, charge)
	if wait := fail(t, l, charge); wait != 0 {
		t.Errorf("after the quiet the count was kept: wait %s", wait)
	}
}

func TestCapDisablesUntilCleared(t *testing.T) {
	l, _, now := newLedger(t)
	charge := attempts(throttle.Attempts{Cap: 3})
	for range 3 {
		if wait := fail(t, l, charge); wait != 0 {
			t.Fatal("refused too early")
		}
		now.move(1000 * time.Hour)
	}
	now.move(20 * 365 * 24 * time.Hour)
	if wait := fail(t, l, charge); wait != -1 {
		t.Fatalf("not disabled: wait %s", wait)
	}
	if err := l.Clear(t.Context(), charge); err != nil {
		t.Fatal(err)
	}
	if wait := fail(t, l, charge); wait != 0 {
		t.Errorf("still refused after Clear: wait %s", wait)
	}
}

func TestSuccessClearsOwnAndRefundsShared(t *testing.T) {
	l, store, _ := newLedger(t)
	own := attempts(throttle.Attempts{Free: 3, Delays: waits})
	shared := throttle.Charge{Key: key("address", "192.0.2.1"), Which: "address", Budget: throttle.Attempts{Free: 9, Delays: waits}, Shared: true}
	fail(t, l, own, shared)
	fail(t, l, own, shared)
	receipt, err := l.Spend(t.Context(), own, shared)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Success(t.Context(), receipt); err != nil {
		t.Fatal(err)
	}
	got := store.snapshot()
	if _, kept := got[own.Key]; kept {
		t.Error("the account's own counter was kept")
	}
	if count := got[shared.Key].Count; count != 2 {
		t.Errorf("the address counts %d failures, want 2", count)
	}
}

func TestRefundUndoesTheWaitItBegan(t *testing.T) {
	l, store, _ := newLedger(t)
	charge := attempts(throttle.Attempts{Free: 2, Delays: waits})
	fail(t, l, charge)
	before := store.snapshot()
	receipt, err := l.Spend(t.Context(), charge)
	if err != nil {
		t.Fatal(err)
	}
	if fail(t, l, charge) == 0 {
		t.Fatal("no wait while the answer is compared")
	}
	if err := l.Refund(t.Context(), receipt); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, store.snapshot()); diff != "" {
		t.Error(diff)
	}
}

func TestRefundLeavesTheWaitOfALaterFailure(t *testing.T) {
	l, _, now := newLedger(t)
	charge := attempts(throttle.Attempts{Free: 2, Delays: waits})
	early, err := l.Spend(t.Context(), charge)
	if err != nil {
		t.Fatal(err)
	}
	now.move(time.Second)
	fail(t, l, charge)
	if err := l.Refund(t.Context(), early); err != nil {
		t.Fatal(err)
	}
	if wait := fail(t, l, charge); wait != 30*time.Second {
		t.Errorf("wait %s, want 30s", wait)
	}
}

func TestARefusedTrySpendsNothingAnywhere(t *testing.T) {
	l, store, _ := newLedger(t)
	open := throttle.Charge{Key: key("open"), Which: "open", Budget: throttle.Attempts{Free: 100}}
	closed := throttle.Charge{Key: key("closed"), Which: "closed", Budget: throttle.Attempts{Free: 1, Delays: waits}}
	fail(t, l, closed)
	before := store.snapshot()
	_, err := l.Spend(t.Context(), open, closed)
	var spent *throttle.Spent
	if !errors.As(err, &spent) {
		t.Fatal(err)
	}
	if diff := cmp.Diff(throttle.Spent{Which: "closed", RetryAfter: 30 * time.Second}, *spent); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(before, store.snapshot()); diff != "" {
		t.Error(diff)
	}
}

func TestTheLongestWaitIsNamed(t *testing.T) {
	l, _, _ := newLedger(t)
	short := throttle.Charge{Key: key("a"), Which: "short", Budget: throttle.Attempts{Free: 1, Delays: waits[:1]}}
	long := throttle.Charge{Key: key("b"), Which: "long", Budget: throttle.Attempts{Free: 1, Delays: waits[2:]}}
	over := throttle.Charge{Key: key("c"), Which: "over", Budget: throttle.Attempts{Cap: 1}}
	fail(t, l, short, long, over)
	for want, charges := range map[string][]throttle.Charge{
		"long": {short, long},
		"over": {long, over, short},
	} {
		_, err := l.Spend(t.Context(), charges...)
		var spent *throttle.Spent
		if !errors.As(err, &spent) || spent.Which != want || spent.Disabled != (want == "over") {
			t.Errorf("want %s, got %v", want, err)
		}
	}
}

func TestCheckSaysWhatSpendWouldAndSpendsNothing(t *testing.T) {
	l, store, _ := newLedger(t)
	charge := attempts(throttle.Attempts{Free: 1, Delays: waits})
	for range 3 {
		if err := l.Check(t.Context(), charge); err != nil {
			t.Fatal(err)
		}
	}
	fail(t, l, charge)
	before := store.snapshot()
	if err := l.Check(t.Context(), charge); !errors.Is(err, throttle.ErrSpent) {
		t.Errorf("got %v, want ErrSpent", err)
	}
	if diff := cmp.Diff(before, store.snapshot()); diff != "" {
		t.Error(diff)
	}
}

func TestTechnicalErrorsAreNotErrSpent(t *testing.T) {
	l, store, _ := newLedger(t)
	down := errors.New("down")
	store.err = down
	charge := attempts(throttle.Attempts{Free: 1, Delays: waits})
	if _, err := l.Spend(t.Context(), charge); !errors.Is(err, down) || errors.Is(err, throttle.ErrSpent) {
		t.Errorf("Spend: %v", err)
	}
	if err := l.Check(t.Context(), charge); !errors.Is(err, down) || errors.Is(err, throttle.ErrSpent) {
		t.Errorf("Check: %v", err)
	}
}

func TestAKeyIsNotChargedTwice(t *testing.T) {
	l, _, _ := newLedger(t)
	charge := attempts(throttle.Attempts{Free: 1})
	if _, err := l.Spend(t.Context(), charge, charge); err == nil || errors.Is(err, throttle.ErrSpent) {
		t.Errorf("got %v", err)
	}
}

func TestParallelGuessesMeetOneBudget(t *testing.T) {
	l, _, _ := newLedger(t)
	charge := attempts(throttle.Attempts{Free: 5, Delays: waits, Decay: time.Hour})
	var mu sync.Mutex
	compared := 0
	var wait sync.WaitGroup
	for range 20 {
		wait.Go(func() {
			if _, err := l.Spend(t.Context(), charge); err != nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			compared++
		})
	}
	wait.Wait()
	if compared != 5 {
		t.Errorf("%d of 20 guesses were compared, want 5", compared)
	}
}
