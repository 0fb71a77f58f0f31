package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/store"
	"github.com/stepgate/stepgate/internal/throttle"
	"github.com/stepgate/stepgate/policy"
)

func testPurge(t *testing.T, f *fixture) {
	f.run(t, "DeletesWhatIsOverAndNothingElse", func(t *testing.T, b *bench) {
		a := b.person("jo")
		short, long := b.session(a.ID), b.session(a.ID)
		raised := session.NewIdentifier().Hash()
		if _, err := b.RaiseSession(t.Context(), session.Raising{ID: short.ID, Account: short.Account, Next: raised, Now: Noon, OverlapEnds: Noon, Change: func(s *session.Session) error {
			s.EndsAt = Noon.Add(time.Hour)
			return nil
		}}); err != nil {
			t.Fatal(err)
		}
		over, open := newTransaction(long, "over"), newTransaction(long, "open")
		open.ExpiresAt = Noon.Add(2 * time.Hour)
		for _, c := range []ceremony.Transaction{over, open} {
			_, err := b.OpenTransaction(t.Context(), c, Noon)
			b.must(err)
		}
		now := Noon.Add(time.Hour)
		b.must(b.Purge(t.Context(), now))
		_, err := b.Transaction(t.Context(), open.ID, Noon)
		b.must(err)
		_, err = b.Transaction(t.Context(), over.ID, Noon)
		b.is(err, ceremony.ErrTransactionGone)
		// Whose a session was is known for a while longer.
		b.must(b.Purge(t.Context(), now.Add(session.Remembered-1)))
		b.remains(raised, a.ID)
		b.must(b.Purge(t.Context(), now.Add(session.Remembered)))
		b.remains(raised, "")
		b.live(a.ID, long.ID)
		sessions, err := b.SessionsOf(t.Context(), a.ID, Noon.Add(-time.Hour))
		if b.must(err); len(sessions) != 1 {
			t.Errorf("%d sessions are left, want 1", len(sessions))
		}
	})
	f.run(t, "VoidsWhatCouldHaveBeenSpent", func(t *testing.T, b *bench) {
		a := b.person("jo")
		s := b.session(a.ID)
		app, list, once := b.credential(a.ID, policy.TOTP), b.credential(a.ID, policy.BackupCode), b.credential(a.ID, policy.TemporaryCode)
		key := b.credential(a.ID, policy.WebAuthn)
		open := newTransaction(s, "open")
		_, err := b.OpenTransaction(t.Context(), open, Noon)
		b.must(err)
		head := b.head()
		codes, err := b.VoidSpendable(t.Context(), Noon, audit.Event{At: Noon, Name: audit.StoreRestored})
		b.must(err)
		b.same(codes, int64(2))
		b.live(a.ID)
		b.remains(s.Hash, "")
		_, err = b.Transaction(t.Context(), open.ID, Noon)
		b.is(err, ceremony.ErrTransactionGone)
		for _, gone := range []account.CredentialID{list.ID, once.ID} {
			_, err := b.Credential(t.Context(), gone)
			b.is(err, account.ErrNotFound)
		}
		_, err = b.Credential(t.Context(), key.ID)
		b.must(err)
		if won, err := b.ConsumeStep(t.Context(), app.ID, Noon.Unix()/30+1, Noon); err != nil || won {
			t.Errorf("a step that may have been used: %v, %v", won, err)
		}
		if won, err := b.ConsumeStep(t.Context(), app.ID, Noon.Unix()/30+2, Noon); err != nil || !won {
			t.Errorf("a later step: %v, %v", won, err)
		}
		b.chainHolds(1)
		if b.head() == head {
			t.Error("no node hears of it")
		}
	})
	f.run(t, "RemainsOfEndedSessions", func(t *testing.T, b *bench) {
		s := b.session(b.person("jo").ID)
		b.must(b.EndSession(t.Context(), s.ID))
		b.must(b.Purge(t.Context(), s.EndsAt.Add(session.Remembered-1)))
		b.remains(s.Hash, s.Account)
		b.must(b.Purge(t.Context(), s.EndsAt.Add(session.Remembered)))
		b.remains(s.Hash, "")
	})
	f.run(t, "KeepsCountersThatMayStillCount", func(t *testing.T, b *bench) {
		keys := []throttle.Key{{1}, {2}, {3}}
		b.must(b.Counters(t.Context(), keys, func(c []throttle.Counter) error {
			c[0] = throttle.Counter{Count: 1, At: Noon.Add(-throttle.Idle + time.Hour)}
			c[1] = throttle.Counter{Count: 1, At: Noon.Add(-throttle.Idle - time.Hour)}
			c[2] = throttle.Counter{Count: 1, At: Noon.Add(-throttle.Idle - time.Hour), Until: Noon.Add(time.Hour)}
			return nil
		}))
		b.must(b.Purge(t.Context(), Noon))
		b.must(b.Counters(t.Context(), keys, func(c []throttle.Counter) error {
			b.same([]int64{c[0].Count, c[1].Count, c[2].Count}, []int64{1, 0, 1})
			return nil
		}))
	})
	f.run(t, "FeedGoesOnAfterwards", func(t *testing.T, b *bench) {
		a := b.person("jo")
		b.update(func(ctx context.Context, tx store.Tx) error { return tx.UpdateAccount(ctx, a) })
		before := b.head()
		b.must(b.Purge(t.Context(), time.Now().Add(365*24*time.Hour)))
		changes, head, err := b.Changes(t.Context(), 0)
		if b.must(err); len(changes) != 0 || head != before {
			t.Errorf("%d changes are left, head %d after %d", len(changes), head, before)
		}
		b.update(func(ctx context.Context, tx store.Tx) error { return tx.UpdateAccount(ctx, a) })
		changes, _, err = b.Changes(t.Context(), before)
		b.must(err)
		b.same(changes, []session.Change{{Seq: before + 1, Kind: session.AccountChanged, Key: string(a.ID)}})
	})
	f.run(t, "ManyRows", func(t *testing.T, b *bench) {
		a := b.person("jo")
		b.all(race(callers, func(int) error {
			for range 11 {
				s, _ := newSession(a.ID)
				if err := b.InsertSession(t.Context(), s); err != nil {
					return err
				}
			}
			return nil
		}))
		b.must(b.Purge(t.Context(), Noon.Add(24*time.Hour)))
		b.live(account.ID(a.ID))
	})
}
