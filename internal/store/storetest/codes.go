package storetest

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/factors/oob"
	"github.com/stepgate/stepgate/internal/store"
	"github.com/stepgate/stepgate/policy"
)

var slot = oob.Slot{Account: "jo", Session: "s", Purpose: "step-up", Factor: policy.SMS}

func newCode(mac string) oob.Code {
	return oob.Code{
		Slot: slot, Transaction: "t", Credential: "c", MAC: []byte(mac), To: []byte("to"),
		SentAt: Noon, ExpiresAt: Noon.Add(10 * time.Minute), Sends: 1,
	}
}

// put puts a code into its slot, whatever was there.
func (b *bench) put(c oob.Code) {
	b.Helper()
	b.must(b.ReplaceCode(b.Context(), c.Slot, func(oob.Code) (oob.Code, error) { return c, nil }))
}

// try tries a code whose MAC is mac, five tries being allowed.
func (b *bench) try(mac string, now time.Time) error { return b.tryOf(5, mac, now) }

func (b *bench) tryOf(tries int, mac string, now time.Time) error {
	_, err := b.TryCode(b.Context(), slot, now, tries, func(c oob.Code) bool { return bytes.Equal(c.MAC, []byte(mac)) })
	return err
}

func testCodes(t *testing.T, f *fixture) {
	f.run(t, "NewestReplacesTheOlder", func(t *testing.T, b *bench) {
		empty, err := b.Code(t.Context(), slot)
		b.must(err)
		b.same(empty, oob.Code{Slot: slot})
		b.put(newCode("old"))
		b.is(b.try("wrong", Noon), factors.ErrWrongAnswer)
		var seen oob.Code
		b.must(b.ReplaceCode(t.Context(), slot, func(held oob.Code) (oob.Code, error) {
			seen = held
			return newCode("new"), nil
		}))
		if seen.Tries != 1 || string(seen.MAC) != "old" {
			t.Errorf("the change was given %+v", seen)
		}
		got, err := b.Code(t.Context(), slot)
		b.must(err)
		b.same(got, newCode("new"))
		b.is(b.try("old", Noon), factors.ErrWrongAnswer)
		b.must(b.try("new", Noon))
	})
	f.run(t, "RefusedChangeKeepsTheCode", func(t *testing.T, b *bench) {
		b.put(newCode("old"))
		err := b.ReplaceCode(t.Context(), slot, func(oob.Code) (oob.Code, error) { return newCode("new"), errSpent })
		b.is(err, errSpent)
		b.must(b.try("old", Noon))
	})
	f.run(t, "SlotsAreApart", func(t *testing.T, b *bench) {
		b.put(newCode("mine"))
		for _, other := range []oob.Slot{
			{Account: "other", Session: "s", Purpose: "step-up", Factor: policy.SMS},
			{Account: "jo", Session: "other", Purpose: "step-up", Factor: policy.SMS},
			{Account: "jo", Session: "s", Purpose: "enrol", Factor: policy.SMS},
			{Account: "jo", Session: "s", Purpose: "step-up", Factor: policy.Email},
		} {
			c := newCode("theirs")
			c.Slot = other
			b.put(c)
			_, err := b.TryCode(t.Context(), other, Noon, 5, func(c oob.Code) bool { return string(c.MAC) == "mine" })
			b.is(err, factors.ErrWrongAnswer)
		}
		b.must(b.try("mine", Noon))
	})
	f.run(t, "FiveWrongTriesEndIt", func(t *testing.T, b *bench) {
		b.put(newCode("right"))
		for range 5 {
			b.is(b.try("wrong", Noon), factors.ErrWrongAnswer)
		}
		b.is(b.try("right", Noon), factors.ErrExpired)
	})
	f.run(t, "TimeEndsIt", func(t *testing.T, b *bench) {
		b.is(b.try("right", Noon), factors.ErrExpired)
		b.put(newCode("right"))
		b.is(b.try("right", Noon.Add(10*time.Minute)), factors.ErrExpired)
		b.must(b.try("right", Noon.Add(10*time.Minute-1)))
	})
	f.run(t, "SpentOnce", func(t *testing.T, b *bench) {
		b.put(newCode("right"))
		b.oneWinner(race(20, func(int) error { return b.try("right", Noon) }), factors.ErrReplayed)
		b.is(b.try("wrong", Noon), factors.ErrExpired)
	})
	f.run(t, "ManyWrongTriesSpendFive", func(t *testing.T, b *bench) {
		b.put(newCode("right"))
		compared := 0
		for _, err := range race(callers, func(int) error { return b.try("wrong", Noon) }) {
			if err == factors.ErrWrongAnswer {
				compared++
			} else {
				b.is(err, factors.ErrExpired)
			}
		}
		if compared != 5 {
			t.Errorf("%d guesses were compared, want 5", compared)
		}
	})
	f.run(t, "ReplacedInFlight", func(t *testing.T, b *bench) {
		b.put(newCode("code-000"))
		// Many replace while many answer what was there first: whoever
		// passed did so before the first replacement.
		errs := race(callers, func(i int) error {
			if i%2 == 0 {
				return b.tryOf(callers, "code-000", Noon)
			}
			return b.ReplaceCode(t.Context(), slot, func(held oob.Code) (oob.Code, error) {
				next := newCode(numbered("code", i))
				next.Sends = held.Sends + 1
				return next, nil
			})
		})
		passed := 0
		for i, err := range errs {
			if i%2 == 0 && err == nil {
				passed++
			}
		}
		if passed > 1 {
			t.Errorf("one code passed %d times", passed)
		}
		held, err := b.Code(t.Context(), slot)
		b.must(err)
		if held.Sends != 1+callers/2 || held.Spent {
			t.Errorf("after %d replacements: %+v", callers/2, held)
		}
		b.must(b.tryOf(callers, string(held.MAC), Noon))
	})
	f.run(t, "DropDeletesOnlyThisOne", func(t *testing.T, b *bench) {
		b.put(newCode("newer"))
		b.must(b.DropCode(t.Context(), slot, []byte("older")))
		b.must(b.DropCode(t.Context(), slot, []byte("newer")))
		b.must(b.DropCode(t.Context(), slot, []byte("newer")))
		b.is(b.try("newer", Noon), factors.ErrExpired)
	})
	f.run(t, "EndWithTheAccountsTransactions", func(t *testing.T, b *bench) {
		b.put(newCode("right"))
		b.update(func(ctx context.Context, tx store.Tx) error { return tx.DropTransactions(ctx, "other") })
		held, err := b.Code(t.Context(), slot)
		b.must(err)
		b.same(held, newCode("right"))
		b.update(func(ctx context.Context, tx store.Tx) error { return tx.DropTransactions(ctx, "jo") })
		b.is(b.try("right", Noon), factors.ErrExpired)
	})
	f.run(t, "PurgedAWhileAfterTheirEnd", func(t *testing.T, b *bench) {
		b.put(newCode("right"))
		b.must(b.Purge(t.Context(), Noon.Add(24*time.Minute)))
		held, err := b.Code(t.Context(), slot)
		b.must(err)
		b.same(held, newCode("right"))
		b.must(b.Purge(t.Context(), Noon.Add(25*time.Minute)))
		held, err = b.Code(t.Context(), slot)
		b.must(err)
		b.same(held, oob.Code{Slot: slot})
	})
}
