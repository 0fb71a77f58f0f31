package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/factors/approval"
	"github.com/stepgate/stepgate/factors/delivery"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/store"
	"github.com/stepgate/stepgate/policy"
)

func newApproval(owner account.ID, id, ceremony string, at time.Time) approval.Request {
	r := approval.Request{
		ID: id, Account: owner, Session: "s", Transaction: ceremony, Site: "https://a.test", Purpose: "step-up", Status: approval.Open,
		Content:   approval.Content{Number: "42", Shown: []byte(`{"who":"jo"}`)},
		CreatedAt: at, ExpiresAt: at.Add(approval.Lifetime),
	}
	r.Content.Challenge, r.Content.Private = []byte("c"), []byte("p")
	return r
}

// answers makes a request what it becomes, with an event.
func (b *bench) answers(id string, by account.CredentialID, at time.Time, as approval.Status) error {
	return b.AnswerApproval(b.Context(), id, by, at, func(c *account.Credential, r *approval.Request) (audit.Event, []delivery.Queued, error) {
		r.Status, r.Credential, r.AnsweredAt = as, c.ID, at
		c.Secret = account.Secret("after " + id)
		return audit.Event{At: at, Name: audit.ChallengeFailed, Account: string(c.Account)}, nil, nil
	})
}

func testApprovals(t *testing.T, f *fixture) {
	f.run(t, "AskedAnsweredSpent", func(t *testing.T, b *bench) {
		a, other := b.person("jo"), b.person("amy")
		phone, theirs := b.credential(a.ID, policy.Approval), b.credential(other.ID, policy.Approval)
		r := newApproval(a.ID, "r1", "t1", Noon)
		b.must(b.AskApproval(t.Context(), r, Noon))
		got, err := b.Approval(t.Context(), "r1")
		b.must(err)
		b.same(got, r)
		_, err = b.Approval(t.Context(), "none")
		b.is(err, approval.ErrGone)
		b.is(b.SpendApproval(t.Context(), "r1", Noon), approval.ErrGone)
		b.is(b.answers("r1", theirs.ID, Noon, approval.Approved), approval.ErrGone)
		b.is(b.answers("r1", "none", Noon, approval.Approved), account.ErrNotFound)
		b.is(b.answers("r1", phone.ID, r.ExpiresAt, approval.Approved), approval.ErrGone)
		b.must(b.answers("r1", phone.ID, Noon.Add(time.Second), approval.Approved))
		b.is(b.answers("r1", phone.ID, Noon.Add(time.Second), approval.Denied), approval.ErrGone)
		kept, err := b.Credential(t.Context(), phone.ID)
		b.must(err)
		if string(kept.Secret.Reveal()) != "after r1" || !kept.LastUsedAt.Equal(phone.LastUsedAt) || kept.Address != phone.Address {
			t.Errorf("the phone is %+v", kept)
		}
		b.chainHolds(1)
		b.is(b.SpendApproval(t.Context(), "r1", r.ExpiresAt), approval.ErrGone)
		errs := make([]error, callers)
		var wait sync.WaitGroup
		for i := range errs {
			wait.Go(func() { errs[i] = b.SpendApproval(context.WithoutCancel(t.Context()), "r1", Noon) })
		}
		wait.Wait()
		b.oneWinner(errs, approval.ErrGone)
	})
	f.run(t, "AnErrorKeepsNothing", func(t *testing.T, b *bench) {
		a := b.person("jo")
		phone := b.credential(a.ID, policy.Approval)
		b.must(b.AskApproval(t.Context(), newApproval(a.ID, "r1", "t1", Noon), Noon))
		err := b.AnswerApproval(t.Context(), "r1", phone.ID, Noon, func(c *account.Credential, r *approval.Request) (audit.Event, []delivery.Queued, error) {
			c.Secret, r.Status = account.Secret("x"), approval.Approved
			return audit.Event{}, nil, errSpent
		})
		b.is(err, errSpent)
		kept, err := b.Credential(t.Context(), phone.ID)
		b.must(err)
		b.same(kept, phone)
		open, err := b.OpenApprovals(t.Context(), a.ID, Noon)
		b.must(err)
		if len(open) != 1 {
			t.Errorf("%d are open", len(open))
		}
	})
	f.run(t, "FiveAtOnce", func(t *testing.T, b *bench) {
		a, other := b.person("jo"), b.person("amy")
		errs := make([]error, callers)
		var wait sync.WaitGroup
		for i := range errs {
			wait.Go(func() {
				r := newApproval(a.ID, fmt.Sprint("r", i), fmt.Sprint("t", i), Noon)
				errs[i] = b.AskApproval(context.WithoutCancel(t.Context()), r, Noon)
			})
		}
		wait.Wait()
		asked := 0
		for _, err := range errs {
			switch {
			case err == nil:
				asked++
			case !errors.Is(err, factors.ErrCrowded):
				t.Error(err)
			}
		}
		if asked != approval.MaxOpen {
			t.Errorf("%d were asked", asked)
		}
		b.must(b.AskApproval(t.Context(), newApproval(other.ID, "theirs", "t", Noon), Noon))
		later := Noon.Add(approval.Lifetime)
		b.must(b.AskApproval(t.Context(), newApproval(a.ID, "later", "t", later), later))
		b.must(b.AskApproval(t.Context(), newApproval(a.ID, "again", "t", later), later))
		open, err := b.OpenApprovals(t.Context(), a.ID, later)
		b.must(err)
		if len(open) != 1 || open[0].ID != "again" {
			t.Errorf("open are %+v: asking again takes the place of the one before", open)
		}
	})
	f.run(t, "OneAMinuteAfterADenial", func(t *testing.T, b *bench) {
		a := b.person("jo")
		phone := b.credential(a.ID, policy.Approval)
		at := Noon
		ask := func(id string) error { return b.AskApproval(t.Context(), newApproval(a.ID, id, id, at), at) }
		b.must(ask("r1"))
		b.must(b.answers("r1", phone.ID, at, approval.Denied))
		soon := (*factors.TooSoon)(nil)
		if err := ask("r2"); !errors.As(err, &soon) || soon.After != approval.DenialWait {
			t.Errorf("at once: %v", err)
		}
		at = at.Add(approval.DenialWait)
		b.must(ask("r3"))
		if err := ask("r4"); !errors.As(err, &soon) {
			t.Errorf("a second one in that minute: %v", err)
		}
		at = Noon.Add(approval.DeniedFor)
		b.must(ask("r5"))
		b.must(ask("r6"))
	})
	f.run(t, "GoWithWhatIsOpen", func(t *testing.T, b *bench) {
		a := b.person("jo")
		b.must(b.AskApproval(t.Context(), newApproval(a.ID, "r1", "t1", Noon), Noon))
		b.update(func(ctx context.Context, tx store.Tx) error { return tx.DropTransactions(ctx, a.ID) })
		_, err := b.Approval(t.Context(), "r1")
		b.is(err, approval.ErrGone)
		b.must(b.AskApproval(t.Context(), newApproval(a.ID, "r2", "t1", Noon), Noon))
		b.must(b.Purge(t.Context(), Noon.Add(approval.Lifetime)))
		_, err = b.Approval(t.Context(), "r2")
		b.must(err)
		b.must(b.Purge(t.Context(), Noon.Add(approval.Lifetime+approval.DeniedFor)))
		_, err = b.Approval(t.Context(), "r2")
		b.is(err, approval.ErrGone)
		b.must(b.AskApproval(t.Context(), newApproval(a.ID, "r3", "t1", Noon), Noon))
		b.update(func(ctx context.Context, tx store.Tx) error { return tx.DeleteAccount(ctx, a.ID) })
	})
}
