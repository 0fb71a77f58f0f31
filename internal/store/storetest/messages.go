package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepgate/stepgate/factors/delivery"
	"github.com/stepgate/stepgate/internal/store"
)

func newMessage(id, channel string) delivery.Queued {
	return delivery.Queued{
		Message: delivery.Message{
			ID: id, Channel: channel, To: "+447700900609", Subject: "Ŝubject", Body: "123456 is your code.\n\n@portal.example.gov #123456",
			Account: "jo", ExpiresAt: Noon.Add(10 * time.Minute),
		},
		DueAt: Noon,
	}
}

// claim claims up to n messages at a time, for a minute.
func (b *bench) claim(now time.Time, n int) []delivery.Queued {
	b.Helper()
	kept, err := b.ClaimMessages(b.Context(), now, now.Add(time.Minute), n)
	b.must(err)
	return kept
}

func idsOf(kept []delivery.Queued) (ids []string) {
	for _, k := range kept {
		ids = append(ids, k.ID)
	}
	return ids
}

func testMessages(t *testing.T, f *fixture) {
	f.run(t, "ClaimedAsTheyWereKept", func(t *testing.T, b *bench) {
		want := newMessage("m", delivery.Email)
		want.Charged = true
		b.must(b.QueueMessage(t.Context(), want, 10))
		if early := b.claim(Noon.Add(-1), 10); len(early) > 0 {
			t.Errorf("%d were given before they were due", len(early))
		}
		want.Tries, want.DueAt = 1, Noon.Add(time.Minute)
		if diff := cmp.Diff([]delivery.Queued{want}, b.claim(Noon, 10), cmp.Comparer(sameKept)); diff != "" {
			t.Error(diff)
		}
		if again := b.claim(Noon, 10); len(again) > 0 {
			t.Error("a claimed message was given to another worker")
		}
	})
	f.run(t, "EMailComesBackTextDoesNot", func(t *testing.T, b *bench) {
		b.must(b.QueueMessage(t.Context(), newMessage("mail", delivery.Email), 10))
		b.must(b.QueueMessage(t.Context(), newMessage("text", delivery.SMS), 10))
		begun := newMessage("begun", delivery.SMS)
		begun.Tries = 1
		b.must(b.QueueMessage(t.Context(), begun, 10))
		b.same(idsOf(b.claim(Noon, 10)), []string{"mail", "text"})
		for range 3 {
			b.same(idsOf(b.claim(Noon.Add(time.Minute), 10)), []string{"mail"})
			b.must(b.DelayMessage(t.Context(), "mail", Noon.Add(time.Minute)))
			b.must(b.DelayMessage(t.Context(), "text", Noon.Add(time.Minute)))
		}
	})
	f.run(t, "NothingAfterItsTime", func(t *testing.T, b *bench) {
		b.must(b.QueueMessage(t.Context(), newMessage("m", delivery.Email), 10))
		if late := b.claim(Noon.Add(10*time.Minute), 10); len(late) > 0 {
			t.Error("a message that has expired was given")
		}
		b.must(b.Purge(t.Context(), Noon.Add(10*time.Minute)))
		b.must(b.QueueMessage(t.Context(), newMessage("m", delivery.Email), 1))
	})
	f.run(t, "CountsWhatWaits", func(t *testing.T, b *bench) {
		waiting := func(now time.Time) string {
			n, since, err := b.WaitingMessages(t.Context(), now)
			b.must(err)
			if since.IsZero() {
				return fmt.Sprint(n)
			}
			return fmt.Sprint(n, " since ", since.Format(time.TimeOnly))
		}
		b.same(waiting(Noon), "0")
		later := newMessage("later", delivery.Email)
		later.DueAt = Noon.Add(time.Minute)
		b.must(b.QueueMessage(t.Context(), later, 10))
		b.same(waiting(Noon), "1")
		b.must(b.QueueMessage(t.Context(), newMessage("now", delivery.Email), 10))
		b.same(waiting(Noon), "2 since 12:00:00")
		b.same(waiting(Noon.Add(2*time.Minute)), "2 since 12:00:00")
		b.must(b.DropMessage(t.Context(), "now"))
		b.same(waiting(Noon.Add(2*time.Minute)), "1 since 12:01:00")
		b.same(waiting(Noon.Add(10*time.Minute)), "0")
	})
	f.run(t, "Bounded", func(t *testing.T, b *bench) {
		kept := 0
		for _, err := range race(callers, func(i int) error {
			return b.QueueMessage(t.Context(), newMessage(numbered("m", i), delivery.Email), 10)
		}) {
			if err == nil {
				kept++
			} else {
				b.is(err, delivery.ErrFull)
			}
		}
		if kept < 10 || kept > 10+12 { // nodes of one store may run ahead by what they write at once
			t.Errorf("%d messages were kept, want about 10", kept)
		}
		b.must(b.DropMessage(t.Context(), "no such"))
	})
	f.run(t, "ClaimedOnceByManyWorkers", func(t *testing.T, b *bench) {
		for i := range 40 {
			b.must(b.QueueMessage(t.Context(), newMessage(numbered("m", i), delivery.SMS), 100))
		}
		var mu sync.Mutex
		seen := map[string]int{}
		b.all(race(20, func(int) error {
			kept, err := b.ClaimMessages(t.Context(), Noon, Noon.Add(time.Minute), 3)
			mu.Lock()
			defer mu.Unlock()
			for _, id := range idsOf(kept) {
				seen[id]++
			}
			return err
		}))
		for id, n := range seen {
			if n != 1 {
				t.Errorf("%s was given %d times", id, n)
			}
		}
		if len(seen) != 40 {
			t.Errorf("%d of 40 were given", len(seen))
		}
	})
	f.run(t, "DroppedIsGone", func(t *testing.T, b *bench) {
		b.must(b.QueueMessage(t.Context(), newMessage("m", delivery.Email), 10))
		b.must(b.DropMessage(t.Context(), "m"))
		if left := b.claim(Noon, 10); len(left) > 0 {
			t.Error("a dropped message was given")
		}
	})
	f.run(t, "KeptWithTheTransactionOnly", func(t *testing.T, b *bench) {
		failed := errors.New("failed")
		err := b.Update(t.Context(), func(tx store.Tx) error {
			return errors.Join(tx.QueueMessage(t.Context(), newMessage("lost", delivery.Email), 10), failed)
		})
		b.is(err, failed)
		b.update(func(ctx context.Context, tx store.Tx) error {
			return tx.QueueMessage(ctx, newMessage("kept", delivery.Email), 10)
		})
		b.same(idsOf(b.claim(Noon, 10)), []string{"kept"})
	})
}

func sameKept(a, b delivery.Queued) bool {
	return a.ID == b.ID && a.Channel == b.Channel && a.To == b.To && a.Subject == b.Subject && a.Body == b.Body &&
		a.Account == b.Account && a.Charged == b.Charged && a.ExpiresAt.Equal(b.ExpiresAt) && a.Tries == b.Tries && a.DueAt.Equal(b.DueAt)
}
