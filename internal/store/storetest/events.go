package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/store"
)

func testEvents(t *testing.T, f *fixture) {
	f.run(t, "ReadBackAsRecorded", func(t *testing.T, b *bench) {
		e := audit.Event{
			At: Noon, Name: audit.AccessDenied, Reference: audit.NewReference(), Account: "A", Actor: "B", Organisation: "default",
			UserAgent: "x\x00\xff", Levels: []string{"mfa"}, Detail: []audit.Field{{Key: "k", Value: "v"}},
		}
		want, err := b.AppendEvent(t.Context(), e)
		b.must(err)
		got, err := b.EventByReference(t.Context(), e.Reference)
		b.must(err)
		b.same(got, want)
		_, err = b.EventByReference(t.Context(), "none")
		b.is(err, audit.ErrNotFound)
		_, err = b.AppendEvent(t.Context(), audit.Event{Name: audit.LoginFail})
		b.must(err)
		_, err = b.EventByReference(t.Context(), "")
		b.is(err, audit.ErrNotFound)
		newest, err := b.Events(t.Context(), audit.Query{Limit: 1})
		b.must(err)
		if len(newest) != 1 || newest[0].At.IsZero() {
			t.Errorf("an event without a time got none: %v", newest)
		}
	})
	f.run(t, "Queries", testEventQueries)
	f.run(t, "TheOldestAreDeletedBehindABridge", testEventsDeleted)
	f.run(t, "ChainHoldsUnderConcurrency", func(t *testing.T, b *bench) {
		b.all(race(callers, func(i int) error {
			if i%2 == 0 {
				_, err := b.AppendEvent(t.Context(), audit.Event{At: Noon, Name: audit.LoginSuccess, Account: numbered("a", i)})
				return err
			}
			err := b.Update(t.Context(), func(tx store.Tx) error {
				for range 2 {
					if _, err := tx.AppendEvent(t.Context(), audit.Event{At: Noon, Name: audit.UserUpdated}); err != nil {
						return err
					}
				}
				if i%4 == 1 {
					return errSpent
				}
				return nil
			})
			if i%4 == 1 && errors.Is(err, errSpent) {
				return nil
			}
			return err
		}))
		b.chainHolds(callers/2 + 2*(callers/4))
	})
}

// chainHolds verifies the whole audit trail.
func (b *bench) chainHolds(want int) {
	b.Helper()
	result, err := b.chain.Verify(audit.Walk(b.Context(), b.Store, 0), audit.Expectation{})
	b.must(err)
	if result.Break != nil || result.Records != int64(want) {
		b.Errorf("the chain holds for %d records, want %d; break: %+v", result.Records, want, result.Break)
	}
}

func testEventQueries(t *testing.T, b *bench) {
	b.update(func(ctx context.Context, tx store.Tx) error {
		for i, e := range []audit.Event{
			{Name: audit.LoginFail, Account: "A"},
			{Name: audit.LoginSuccess, Account: "A", Actor: "A"},
			{Name: audit.UserUpdated, Account: "B", Actor: "A", Organisation: "police"},
			{Name: audit.LoginFailMax, Account: "B"},
			{Name: audit.LoginFail, Account: "B"},
		} {
			e.At = Noon.Add(time.Duration(i) * time.Minute)
			if _, err := tx.AppendEvent(ctx, e); err != nil {
				return err
			}
		}
		return nil
	})
	for _, row := range []struct {
		name  string
		query audit.Query
		want  []int64
	}{
		{"all, newest first", audit.Query{}, []int64{5, 4, 3, 2, 1}},
		{"account", audit.Query{Account: "A"}, []int64{2, 1}},
		{"actor", audit.Query{Actor: "A"}, []int64{3, 2}},
		{"organisation", audit.Query{Organisation: "police"}, []int64{3}},
		{"one name, not those that begin like it", audit.Query{Names: []audit.Name{audit.LoginFail}}, []int64{5, 1}},
		{"names", audit.Query{Names: []audit.Name{audit.LoginFailMax, audit.LoginSuccess}}, []int64{4, 2}},
		{"unknown name", audit.Query{Names: []audit.Name{"_"}}, nil},
		{"since is included", audit.Query{Since: Noon.Add(3 * time.Minute).Truncate(time.Millisecond)}, []int64{5, 4}},
		{"until is not", audit.Query{Until: Noon.Add(time.Minute).Truncate(time.Millisecond)}, []int64{1}},
		{"before", audit.Query{Before: 3}, []int64{2, 1}},
		{"limit", audit.Query{Limit: 2}, []int64{5, 4}},
		{"together", audit.Query{Account: "B", Names: []audit.Name{audit.LoginFail}, Before: 5}, nil},
	} {
		records, err := b.Events(t.Context(), row.query)
		b.must(err)
		var got []int64
		for _, r := range records {
			got = append(got, r.Seq)
		}
		if b.same(got, row.want); t.Failed() {
			t.Fatal(row.name)
		}
	}
	rows, err := b.EventRows(t.Context(), 2, 2)
	b.must(err)
	if len(rows) != 2 || rows[0].Seq != 3 || rows[1].Seq != 4 {
		t.Errorf("rows behind 2: %v", rows)
	}
	b.chainHolds(5)
}

func testEventsDeleted(t *testing.T, b *bench) {
	var ends []audit.Record
	for i := range 9 {
		record, err := b.AppendEvent(t.Context(), audit.Event{At: Noon.Add(time.Duration(i) * time.Minute), Name: audit.LoginSuccess, Account: "A"})
		b.must(err)
		ends = append(ends, record)
	}
	bridge, err := b.chain.Checkpoint(ends[4].Link(), Noon)
	b.must(err)
	_, err = b.AppendEvent(t.Context(), audit.Pruned(bridge, ""))
	b.must(err)
	for _, want := range []int64{5, 0} {
		gone, err := b.PruneEvents(t.Context(), ends[4].Seq)
		b.must(err)
		b.same(gone, want)
	}
	result, err := b.chain.Verify(audit.Walk(t.Context(), b.Store, 0), audit.Expectation{From: bridge})
	b.must(err)
	if result.Break != nil || result.Records != 5 {
		t.Errorf("what stays: %+v", result)
	}
	left, err := b.Events(t.Context(), audit.Query{Account: "A"})
	b.must(err)
	if len(left) != 4 || left[3].Seq != 6 {
		t.Errorf("%d events of the account stay", len(left))
	}
	next, err := b.AppendEvent(t.Context(), audit.Event{At: Noon, Name: audit.LoginSuccess})
	b.must(err)
	b.same(next.Seq, int64(11))
}

func testReceivers(t *testing.T, f *fixture) {
	hold := func(b *bench, name, holder string, at, until time.Duration) (int64, bool) {
		b.Helper()
		seq, held, err := b.HoldReceiver(b.Context(), name, holder, Noon.Add(at), Noon.Add(until))
		b.must(err)
		return seq, held
	}
	f.run(t, "OneHolds", func(t *testing.T, b *bench) {
		if seq, held := hold(b, "siem", "one", 0, time.Minute); !held || seq != 0 {
			t.Errorf("the first: %d, %v", seq, held)
		}
		if _, held := hold(b, "siem", "two", time.Second, time.Hour); held {
			t.Error("two hold it")
		}
		if _, held := hold(b, "other", "two", time.Second, time.Hour); !held {
			t.Error("a receiver of another name is held too")
		}
		if _, held := hold(b, "siem", "one", time.Second, 2*time.Minute); !held {
			t.Error("its holder cannot go on")
		}
		if _, held := hold(b, "siem", "two", time.Minute, time.Hour); held {
			t.Error("two hold it after one has gone on")
		}
		if _, held := hold(b, "siem", "two", 2*time.Minute, time.Hour); !held {
			t.Error("nobody takes over when its time is over")
		}
	})
	f.run(t, "ManyAskOneHolds", func(t *testing.T, b *bench) {
		var holding atomic.Int64
		b.all(race(callers, func(i int) error {
			_, held, err := b.HoldReceiver(t.Context(), "siem", fmt.Sprint("node ", i), Noon, Noon.Add(time.Minute))
			if held {
				holding.Add(1)
			}
			return err
		}))
		b.same(holding.Load(), int64(1))
	})
	f.run(t, "ItsHolderMovesItForward", func(t *testing.T, b *bench) {
		hold(b, "siem", "one", 0, time.Minute)
		b.must(b.MoveReceiver(t.Context(), "siem", "one", 7))
		b.must(b.MoveReceiver(t.Context(), "siem", "one", 5))
		b.must(b.MoveReceiver(t.Context(), "siem", "two", 9))
		b.must(b.MoveReceiver(t.Context(), "none", "one", 9))
		if seq, held := hold(b, "siem", "two", time.Minute, time.Hour); !held || seq != 7 {
			t.Errorf("whoever takes over begins behind %d, held %v", seq, held)
		}
		behind := func(seq int64, heldAfter time.Duration) []audit.Behind {
			all, err := b.ReceiversBehind(t.Context(), seq, Noon.Add(heldAfter))
			b.must(err)
			return all
		}
		b.same(behind(8, 0), []audit.Behind{{Name: "siem", Seq: 7}})
		b.same(len(behind(7, 0)), 0)
		b.same(len(behind(8, time.Hour)), 0)
		b.must(b.MoveReceiver(t.Context(), "siem", "one", 12)) // too late
		if seq, _ := hold(b, "siem", "two", time.Minute, time.Hour); seq != 7 {
			t.Errorf("who does not hold it any more moved it to %d", seq)
		}
	})
}
