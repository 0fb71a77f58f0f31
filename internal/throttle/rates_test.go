package throttle_test

import (
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/stepgate/stepgate/internal/throttle"
)

func sends(rates ...throttle.Rate) throttle.Charge {
	return throttle.Charge{Key: key("number", "+447700900123"), Which: "number", Budget: throttle.Rates(rates), Shared: true}
}

var perNumber = []throttle.Rate{{Limit: 1, Per: 30 * time.Second}, {Limit: 5, Per: time.Hour}, {Limit: 10, Per: 24 * time.Hour}}

func TestRatesHoldAllWindowsExactly(t *testing.T) {
	l, _, now := newLedger(t)
	charge := sends(perNumber...)
	start := now.Now()
	var sent []time.Duration
	for len(sent) < 11 {
		wait := fail(t, l, charge)
		if wait == 0 {
			sent = append(sent, now.Now().Sub(start))
			continue
		}
		now.move(wait)
	}
	const s, h = time.Second, time.Hour
	want := []time.Duration{0, 30 * s, 60 * s, 90 * s, 120 * s, h, h + 30*s, h + 60*s, h + 90*s, h + 120*s, 24 * h}
	if diff := cmp.Diff(want, sent); diff != "" {
		t.Error(diff)
	}
}

func TestRatesRefundOpensTheWindowAgain(t *testing.T) {
	l, store, _ := newLedger(t)
	charge := sends(perNumber...)
	receipt, err := l.Spend(t.Context(), charge)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Refund(t.Context(), receipt); err != nil {
		t.Fatal(err)
	}
	if left := store.snapshot(); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	if wait := fail(t, l, charge); wait != 0 {
		t.Errorf("wait %s", wait)
	}
}

func TestRatesWithoutLimitAllowNone(t *testing.T) {
	l, _, _ := newLedger(t)
	if wait := fail(t, l, sends(throttle.Rate{Limit: 0, Per: time.Hour})); wait != -1 {
		t.Errorf("wait %s", wait)
	}
}

func TestNoWindowEverHoldsMoreThanItsLimit(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		l, _, now := newLedger(t)
		rates := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) throttle.Rate {
			return throttle.Rate{Limit: rapid.IntRange(1, 40).Draw(rt, "limit"), Per: time.Duration(rapid.IntRange(1, 100).Draw(rt, "seconds")) * time.Second}
		}), 1, 3).Draw(rt, "rates")
		charge := sends(rates...)
		var sent []time.Time
		for range rapid.IntRange(1, 200).Draw(rt, "tries") {
			now.move(time.Duration(rapid.IntRange(0, 5000).Draw(rt, "gap")) * time.Millisecond)
			if fail(t, l, charge) == 0 {
				sent = append(sent, now.Now())
			}
		}
		if len(sent) == 0 {
			rt.Fatal("nothing was sent")
		}
		for _, r := range rates {
			for i := r.Limit; i < len(sent); i++ {
				if span := sent[i].Sub(sent[i-r.Limit]); span < r.Per {
					rt.Fatalf("%d in %s, allowed %d in %s", r.Limit+1, span, r.Limit, r.Per)
				}
			}
		}
	})
}

func TestAnEagerSenderGetsNearlyTheWholeLimit(t *testing.T) {
	l, _, now := newLedger(t)
	charge := sends(throttle.Rate{Limit: 500, Per: time.Hour})
	sent := 0
	for end := now.Now().Add(24 * time.Hour); now.Now().Before(end); now.move(time.Second) {
		if fail(t, l, charge) == 0 {
			sent++
		}
	}
	if got := float64(sent) / (24 * 500); got < 0.92 || got > 1 {
		t.Errorf("%.3f of the limit", got)
	}
}

func TestParallelSendsMeetOneBudget(t *testing.T) {
	l, _, _ := newLedger(t)
	charge := sends(throttle.Rate{Limit: 30, Per: time.Hour})
	var mu sync.Mutex
	sent := 0
	var wait sync.WaitGroup
	for range 50 {
		wait.Go(func() {
			if _, err := l.Spend(t.Context(), charge); err == nil {
				mu.Lock()
				defer mu.Unlock()
				sent++
			}
		})
	}
	wait.Wait()
	if sent != 30 {
		t.Errorf("%d sent, want 30", sent)
	}
}

func TestCeilingKeepsAPartForHeldCredentials(t *testing.T) {
	l, _, now := newLedger(t)
	charge := func(held bool) throttle.Charge {
		return throttle.Charge{Key: key("month"), Which: "month", Budget: throttle.Ceiling{Limit: 5, Kept: 2, Held: held}, Shared: true}
	}
	for n := range 3 {
		if wait := fail(t, l, charge(false)); wait != 0 {
			t.Fatalf("send %d refused", n+1)
		}
	}
	untilApril := time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC).Sub(now.Now())
	if wait := fail(t, l, charge(false)); wait != untilApril {
		t.Errorf("wait %s, want %s", wait, untilApril)
	}
	for n := range 2 {
		if wait := fail(t, l, charge(true)); wait != 0 {
			t.Fatalf("held send %d refused", n+1)
		}
	}
	if wait := fail(t, l, charge(true)); wait != untilApril {
		t.Errorf("past the ceiling: wait %s", wait)
	}
	now.move(untilApril)
	if wait := fail(t, l, charge(false)); wait != 0 {
		t.Errorf("in the next month: wait %s", wait)
	}
}
