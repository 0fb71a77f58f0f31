package storetest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/store"
	"github.com/stepgate/stepgate/policy"
)

func testFeed(t *testing.T, f *fixture) {
	f.run(t, "TellsWhatNodesMayHaveInMemory", testFeedKinds)
	f.run(t, "FailedChangeTellsNothing", func(t *testing.T, b *bench) {
		a := b.person("jo")
		before := b.head()
		b.is(b.Update(t.Context(), func(tx store.Tx) error {
			if err := tx.UpdateAccount(t.Context(), a); err != nil {
				return err
			}
			return errSpent
		}), errSpent)
		changes, head, err := b.Changes(t.Context(), before)
		if b.must(err); len(changes) != 0 || head != before {
			t.Errorf("%d changes, head %d after %d", len(changes), head, before)
		}
	})
	f.run(t, "NeverMissesUnderConcurrentWriters", testFeedMissesNothing)
}

func (b *bench) head() int64 {
	b.Helper()
	changes, head, err := b.Changes(b.Context(), -1)
	b.must(err)
	if len(changes) != 0 {
		b.Errorf("%d changes came with the head", len(changes))
	}
	return head
}

func testFeedKinds(t *testing.T, b *bench) {
	a := b.person("jo")
	s, other := b.session(a.ID), b.session(a.ID)
	c := b.credential(a.ID, policy.TOTP)
	o := account.Organisation{Name: "police", CreatedAt: Noon}
	b.update(func(ctx context.Context, tx store.Tx) error { return tx.InsertOrganisation(ctx, o) })
	raise := func(*session.Session) error { return nil }
	inTx := func(change func(store.Tx) error) func() error {
		return func() error { return b.Update(t.Context(), change) }
	}
	suspended := a
	suspended.SuspendedAt = Noon
	sessionOf := func(s session.Session) session.Change {
		return session.Change{Kind: session.SessionChanged, Key: string(s.ID)}
	}
	jo := session.Change{Kind: session.AccountChanged, Key: string(a.ID)}
	police := session.Change{Kind: session.OrganisationChanged, Key: "police"}
	var last session.Session
	for _, row := range []struct {
		name string
		do   func() error
		want []session.Change
	}{
		{"raise", func() error {
			_, err := b.RaiseSession(t.Context(), session.Raising{ID: s.ID, Account: s.Account, Next: session.NewIdentifier().Hash(), Now: Noon, OverlapEnds: Noon, Change: raise})
			return err
		}, []session.Change{sessionOf(s)}},
		{"touch", func() error { return b.TouchSessions(t.Context(), map[session.ID]time.Time{s.ID: Noon}) }, nil},
		{"end", func() error { return b.EndSession(t.Context(), s.ID) }, []session.Change{sessionOf(s)}},
		{"end of none", func() error { return b.EndSession(t.Context(), s.ID) }, nil},
		{"end all", func() error { return b.EndAccountSessions(t.Context(), a.ID, "") }, []session.Change{sessionOf(other)}},
		{"account", inTx(func(tx store.Tx) error { return tx.UpdateAccount(t.Context(), a) }), []session.Change{jo}},
		{"password", inTx(func(tx store.Tx) error { return tx.SetPasswordHash(t.Context(), a.ID, "x") }), []session.Change{jo}},
		{"new credential", inTx(func(tx store.Tx) error {
			return tx.InsertCredential(t.Context(), newCredential(a.ID, policy.SMS))
		}), []session.Change{jo}},
		{"credential", inTx(func(tx store.Tx) error { return tx.UpdateCredential(t.Context(), c) }), []session.Change{jo}},
		{"no credential", inTx(func(tx store.Tx) error { return tx.DeleteCredential(t.Context(), c.ID) }), []session.Change{jo}},
		{"no credentials", inTx(func(tx store.Tx) error { return tx.DeleteCredentials(t.Context(), a.ID) }), []session.Change{jo}},
		{"organisation", inTx(func(tx store.Tx) error { return tx.UpdateOrganisation(t.Context(), o) }), []session.Change{police}},
		{"twice is once", inTx(func(tx store.Tx) error {
			return errors.Join(tx.UpdateAccount(t.Context(), a), tx.SetPasswordHash(t.Context(), a.ID, ""))
		}), []session.Change{jo}},
		{"new session", func() error { last = b.session(a.ID); return nil }, nil},
		{"suspension", inTx(func(tx store.Tx) error { return tx.UpdateAccount(t.Context(), suspended) }), nil},
		{"deletion", inTx(func(tx store.Tx) error { return tx.DeleteAccount(t.Context(), a.ID) }), []session.Change{jo}},
	} {
		before := b.head()
		b.must(row.do())
		changes, head, err := b.Changes(t.Context(), before)
		b.must(err)
		if row.name == "suspension" {
			row.want = []session.Change{jo, sessionOf(last)}
		}
		for i := range row.want {
			row.want[i].Seq = before + int64(i) + 1
		}
		if b.same(changes, row.want); t.Failed() {
			t.Fatal(row.name)
		}
		b.same(head, before+int64(len(row.want)))
	}
	all, _, err := b.Changes(t.Context(), 0)
	b.must(err)
	if !slices.IsSortedFunc(all, func(x, y session.Change) int { return int(x.Seq - y.Seq) }) {
		t.Error("the feed is not in order")
	}
}

// testFeedMissesNothing follows the feed as a node does while others write
// transactions of different length, and wants every change once.
func testFeedMissesNothing(t *testing.T, b *bench) {
	var people []account.Account
	for i := range callers {
		people = append(people, b.person(numbered("p", i)))
	}
	seen := map[account.ID]int{}
	at := b.head()
	follow := func() {
		changes, head, err := b.Changes(t.Context(), at)
		if err != nil {
			t.Error(err)
			return
		}
		for _, c := range changes {
			if c.Seq <= at {
				t.Errorf("change %d came after %d", c.Seq, at)
			}
			at = c.Seq
			seen[account.ID(c.Key)]++
		}
		at = head
	}
	done := make(chan struct{})
	var follower sync.WaitGroup
	follower.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				follow()
			}
		}
	})
	b.all(race(callers, func(i int) error {
		return b.Update(t.Context(), func(tx store.Tx) error {
			for j := range i % 5 {
				if _, err := tx.Account(t.Context(), people[j].ID); err != nil {
					return err
				}
			}
			return tx.UpdateAccount(t.Context(), people[i])
		})
	}))
	b.all(race(callers, func(i int) error {
		s, _ := newSession(people[i].ID)
		s.ID = session.ID(people[i].ID)
		return errors.Join(b.InsertSession(t.Context(), s), b.EndSession(t.Context(), s.ID))
	}))
	close(done)
	follower.Wait()
	follow()
	for _, a := range people {
		if seen[a.ID] != 2 {
			t.Errorf("%d changes of %s were seen, want 2", seen[a.ID], a.Username)
		}
	}
}
