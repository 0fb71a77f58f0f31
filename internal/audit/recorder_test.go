package audit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// bench is a recorder over a store in memory, under a clock that stands
// still while anyone works.
type bench struct {
	*Recorder
	store *memory
	lost  []error
}

func newBench(t *testing.T, b *Budgets) *bench {
	t.Helper()
	x := &bench{store: &memory{chain: newChain(t)}}
	x.Recorder = NewRecorder(Options{Store: x.store, Budgets: b, Lost: func(err error) { x.lost = append(x.lost, err) }})
	return x
}

func (x *bench) close(t *testing.T) {
	t.Helper()
	if err := x.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// kept counts the records of each name.
func (x *bench) kept() map[Name]int {
	counts := map[Name]int{}
	for _, n := range x.store.names() {
		counts[n]++
	}
	return counts
}

var small = &Budgets{
	PerAddress: Budget{Burst: 3, PerHour: 60}, Strangers: Budget{Burst: 5, PerHour: 60},
	PerAccount: Budget{Burst: 3, PerHour: 60}, Accounts: Budget{Burst: 5, PerHour: 60},
}

func TestRecordReturnsOnlyWhenTheStoreHasTheEvent(t *testing.T) {
	x := newBench(t, nil)
	defer x.close(t)
	if err := x.Record(t.Context(), Event{Name: FactorEnrolled}); err != nil {
		t.Fatal(err)
	}
	if rows := x.store.rows; len(rows) != 1 || rows[0].At.IsZero() {
		t.Errorf("%+v", rows)
	}
	x.store.fail = errors.New("disk full")
	if err := x.Record(t.Context(), Event{Name: FactorEnrolled}); !errors.Is(err, x.store.fail) {
		t.Errorf("got %v", err)
	}
}

func TestObserveKeepsEventsWithinTheBudgetAndCountsTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newBench(t, small)
		for range 10 {
			x.Observe(Event{Name: AccessDenied, Address: "192.0.2.1"})
		}
		x.Observe(Event{Name: StepUpRequired, Address: "192.0.2.1"})
		synctest.Wait()
		if diff := cmp.Diff(map[Name]int{AccessDenied: 3}, x.kept()); diff != "" {
			t.Error(diff)
		}
		time.Sleep(summariseEvery)
		synctest.Wait()
		if diff := cmp.Diff(map[Name]int{AccessDenied: 3, EventsDropped: 1}, x.kept()); diff != "" {
			t.Error(diff)
		}
		r, err := x.store.rows[3].Record()
		if err != nil {
			t.Fatal(err)
		}
		want := []Field{{"total", "8"}, {"authz_fail", "7"}, {"stepup_required", "1"}}
		if diff := cmp.Diff(want, r.Detail); diff != "" {
			t.Error(diff)
		}
		time.Sleep(summariseEvery)
		x.Observe(Event{Name: AccessDenied, Address: "192.0.2.1"}) // the budget has refilled by then
		x.close(t)
		if diff := cmp.Diff(map[Name]int{AccessDenied: 4, EventsDropped: 1}, x.kept()); diff != "" {
			t.Error(diff)
		}
	})
}

// TestAnOfficeBehindOneAddressIsKept: the reference of a page that somebody
// reads out is found, though many come from there and `doctor` was there too.
func TestAnOfficeBehindOneAddressIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newBench(t, nil)
		for range 450 {
			x.Observe(Event{Name: AccessDenied, Address: "192.0.2.1"})
			synctest.Wait()
		}
		x.close(t)
		if diff := cmp.Diff(map[Name]int{AccessDenied: 450}, x.kept()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestStrangersTogetherHaveABudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newBench(t, small)
		for i := range 200 {
			x.Observe(Event{Name: AccessDenied, Address: fmt.Sprintf("192.0.2.%d", i)})
		}
		synctest.Wait()
		if got := x.kept()[AccessDenied]; got != 5 {
			t.Errorf("%d are kept, want 5", got)
		}
		x.close(t)
	})
}

func TestStrangersCannotHideWhatPeopleDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newBench(t, small)
		for i := range 200 {
			x.Observe(Event{Name: AccessDenied, Address: fmt.Sprintf("192.0.2.%d", i), Account: "JOE"}) // a claim, no session
		}
		x.Observe(Event{Name: StepUpRequired, Account: "JOE", Session: "HASH", Address: "192.0.2.1"})
		x.close(t)
		if got := x.kept()[StepUpRequired]; got != 1 {
			t.Errorf("%d events of the account are kept, want 1", got)
		}
	})
}

func TestOneNetworkIsOneStranger(t *testing.T) {
	for _, row := range []struct {
		a, b string
		same bool
	}{
		{"2001:db8:1:2::1", "2001:db8:1:2:ffff::9", true},
		{"2001:db8:1:2::1", "2001:db8:1:3::1", false},
		{"192.0.2.1", "192.0.2.2", false},
		{"192.0.2.1", "::ffff:192.0.2.1", true},
		{"fe80::1%eth0", "fe80::2%eth1", true},
		{"", "nonsense", true},
	} {
		if got := network(row.a) == network(row.b); got != row.same {
			t.Errorf("%q and %q: %v, want %v", row.a, row.b, got, row.same)
		}
	}
}

func TestLargeEventsCostMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newBench(t, &Budgets{
			PerAddress: Budget{Burst: 60, PerHour: 60}, Strangers: Budget{Burst: 60, PerHour: 60},
		})
		large := Event{Name: AccessDenied, Explanation: []byte(`"` + string(slices.Repeat([]byte("x"), 19*1024)) + `"`)}
		for range 10 {
			x.Observe(large)
		}
		x.close(t)
		if got := x.kept()[AccessDenied]; got != 3 {
			t.Errorf("%d of 20 KiB each are kept, want 3", got)
		}
	})
}

// stuck is a store that answers only when its caller gives up.
type stuck struct{}

func (stuck) AppendEvent(ctx context.Context, _ Event) (Record, error) {
	<-ctx.Done()
	return Record{}, ctx.Err()
}

func TestObserveNeverWaitsForTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		roomy := Budget{Burst: 1 << 20, PerHour: 1}
		r := NewRecorder(Options{Store: stuck{}, Budgets: &Budgets{roomy, roomy, roomy, roomy}})
		began := time.Now()
		for range 3 * queueLength {
			r.Observe(Event{Name: AccessDenied})
		}
		if waited := time.Since(began); waited != 0 {
			t.Errorf("waited %s", waited)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := r.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Close: %v", err)
		}
		if waited := time.Since(began); waited != time.Second {
			t.Errorf("Close waited %s", waited)
		}
	})
}

func TestCountsOutliveAStoreThatIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newBench(t, nil)
		x.store.fail = errors.New("down")
		for range 5 {
			x.Observe(Event{Name: AccessDenied})
		}
		time.Sleep(2 * summariseEvery)
		synctest.Wait()
		if len(x.lost) != 2 || !errors.Is(x.lost[0], x.store.fail) {
			t.Errorf("the operator was told %v", x.lost)
		}
		x.store.mu.Lock()
		x.store.fail = nil
		x.store.mu.Unlock()
		x.close(t)
		if len(x.store.rows) != 1 {
			t.Fatalf("%d records", len(x.store.rows))
		}
		r, err := x.store.rows[0].Record()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]Field{{"total", "5"}, {"authz_fail", "5"}}, r.Detail); diff != "" {
			t.Error(diff)
		}
	})
}

func TestCloseWritesWhatWaitsAndMayBeCalledAgain(t *testing.T) {
	x := newBench(t, nil)
	for range 50 {
		x.Observe(Event{Name: AccessDenied})
	}
	x.close(t)
	x.close(t)
	if got := x.kept()[AccessDenied]; got != 50 {
		t.Errorf("%d are kept, want 50", got)
	}
	x.Observe(Event{Name: AccessDenied}) // does not panic
}

func TestObserveTellsOfANameThatIsNone(t *testing.T) {
	x := newBench(t, nil)
	defer x.close(t)
	x.Observe(Event{Name: "made_up"})
	if len(x.lost) != 1 || !errors.Is(x.lost[0], ErrUnknownName) {
		t.Errorf("%v", x.lost)
	}
}

func TestGateForgetsOnlySourcesThatAreAsNew(t *testing.T) {
	g := newGate(Budget{Burst: 2, PerHour: 3600}, Budget{Burst: 1 << 30, PerHour: 1})
	for i := range 2 * maxSources {
		g.spend(fmt.Sprint(i), 1, noon)
	}
	if len(g.sources) != maxSources {
		t.Fatalf("%d sources, want %d", len(g.sources), maxSources)
	}
	if _, ok := g.sources["0"]; !ok {
		t.Fatal("a source was forgotten that had spent")
	}
	g.spend("0", 1, noon.Add(sweepEvery))
	g.spend("0", 1, noon.Add(sweepEvery))
	g.spend("new", 1, noon.Add(sweepEvery))
	if len(g.sources) != 2 {
		t.Errorf("%d sources after the sweep, want 2", len(g.sources))
	}
	if g.spend("0", 1, noon.Add(sweepEvery)) {
		t.Error("a spent source was forgotten")
	}
}
