package storetest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/store"
	"github.com/stepgate/stepgate/policy"
)

func testDevices(t *testing.T, f *fixture) {
	// on makes a session one on a device.
	on := func(b *bench, s session.Session, device account.CredentialID) {
		b.Helper()
		_, err := b.RaiseSession(b.Context(), session.Raising{ID: s.ID, Account: s.Account, Next: session.NewIdentifier().Hash(), Now: Noon, OverlapEnds: Noon.Add(time.Second), Change: func(row *session.Session) error {
			row.Device, row.DeviceID = "private", string(device)
			return nil
		}})
		b.must(err)
	}
	f.run(t, "RevokedWithTheirSessions", func(t *testing.T, b *bench) {
		a, other := b.person("jo"), b.person("amy")
		here, there := b.credential(a.ID, policy.DevicePIN), b.credential(a.ID, policy.DevicePIN)
		mine, elsewhere, plain := b.session(a.ID), b.session(a.ID), b.session(a.ID)
		on(b, mine, here.ID)
		on(b, elsewhere, there.ID)
		head := b.head()
		revoke := func(owner account.ID, id account.CredentialID) error {
			return b.RevokeDevice(t.Context(), owner, id, audit.Event{At: Noon, Name: audit.DeviceRevoked, Account: string(owner)}, nil)
		}
		b.is(revoke(other.ID, here.ID), account.ErrNotFound)
		b.must(revoke(a.ID, here.ID))
		b.is(revoke(a.ID, here.ID), account.ErrNotFound)
		_, err := b.Credential(t.Context(), here.ID)
		b.is(err, account.ErrNotFound)
		_, err = b.Credential(t.Context(), there.ID)
		b.must(err)
		b.live(a.ID, elsewhere.ID, plain.ID)
		changes, _, err := b.Changes(t.Context(), head)
		b.must(err)
		told := map[session.ChangeKind]string{}
		for _, c := range changes {
			told[c.Kind] = c.Key
		}
		b.same(told, map[session.ChangeKind]string{session.SessionChanged: string(mine.ID), session.AccountChanged: string(a.ID)})
		b.chainHolds(1)
		b.update(func(ctx context.Context, tx store.Tx) error { return tx.DeleteCredential(ctx, there.ID) })
		b.live(a.ID, plain.ID)
	})
	f.run(t, "ReplacedByAnEnrolment", func(t *testing.T, b *bench) {
		a := b.person("jo")
		old := b.credential(a.ID, policy.DevicePIN)
		mine := b.session(a.ID)
		on(b, mine, old.ID)
		begun, err := b.OpenTransaction(t.Context(), ceremony.Transaction{
			ID: ceremony.NewID(), Session: "s", Key: "k", Actor: a.ID, Subject: a.ID, CreatedAt: Noon, ExpiresAt: Noon.Add(time.Hour), Version: 1,
		}, Noon)
		b.must(err)
		next := newCredential(a.ID, policy.DevicePIN)
		b.must(b.Enrol(t.Context(), ceremony.Enrolled{
			Transaction: begun.ID, Credential: next, Replaces: old.ID, Event: audit.Event{At: Noon, Name: audit.DeviceTrusted},
		}, Noon))
		held, err := b.Credentials(t.Context(), a.ID)
		b.must(err)
		if len(held) != 1 || held[0].ID != next.ID {
			t.Errorf("held: %+v", held)
		}
		b.live(a.ID)
	})
}

func testVisits(t *testing.T, f *fixture) {
	f.run(t, "KeptOneAfterTheOtherAndGoneWithTheAccount", func(t *testing.T, b *bench) {
		a := b.person("jo")
		none, err := b.Visits(t.Context(), a.ID)
		b.must(err)
		b.same(none, account.Secret(nil))
		add := func(before account.Secret) (account.Secret, error) { return append(before, 'x'), nil }
		errs := make([]error, callers)
		var all sync.WaitGroup
		for i := range errs {
			all.Go(func() { errs[i] = b.KeepVisits(t.Context(), a.ID, add) })
		}
		all.Wait()
		b.all(errs)
		kept, err := b.Visits(t.Context(), a.ID)
		b.must(err)
		b.same(len(kept.Reveal()), callers)
		b.is(b.KeepVisits(t.Context(), "none", add), account.ErrNotFound)
		b.update(func(ctx context.Context, tx store.Tx) error { return tx.DeleteAccount(ctx, a.ID) })
		kept, err = b.Visits(t.Context(), a.ID)
		b.must(err)
		b.same(kept, account.Secret(nil))
	})
	f.run(t, "ARiskReachesASessionThatIsRaisedMeanwhile", func(t *testing.T, b *bench) {
		s, next := b.session(b.person("jo").ID), session.NewIdentifier().Hash()
		rescored := make(chan error, 1)
		var once sync.Once
		_, err := b.RaiseSession(t.Context(), session.Raising{ID: s.ID, Account: s.Account, Next: next, Now: Noon, OverlapEnds: Noon.Add(time.Second), Change: func(*session.Session) error {
			once.Do(func() {
				done := make(chan struct{})
				go func() {
					defer close(done)
					rescored <- b.RescoreSession(t.Context(), s.ID, "high")
				}()
				select {
				case <-done:
				case <-time.After(100 * time.Millisecond): // it waits for the raise
				}
			})
			return nil
		}})
		b.must(err)
		b.must(<-rescored)
		got, _, err := b.SessionByHash(t.Context(), next, Noon)
		b.must(err)
		b.same(got.Risk, "high")
	})
	f.run(t, "TheRiskOfASessionIsOneOverItsIdentifiers", func(t *testing.T, b *bench) {
		a := b.person("jo")
		s := b.session(a.ID)
		head := b.head()
		b.must(b.RescoreSession(t.Context(), s.ID, "high"))
		b.must(b.RescoreSession(t.Context(), "none", "high"))
		got, _, err := b.SessionByHash(t.Context(), s.Hash, Noon)
		b.must(err)
		b.same(got.Risk, "high")
		changes, _, err := b.Changes(t.Context(), head)
		b.must(err)
		if len(changes) == 0 || changes[0].Key != string(s.ID) {
			t.Errorf("told %+v", changes)
		}
	})
}
