package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/store"
	"github.com/stepgate/stepgate/policy"
)

func testCredentials(t *testing.T, f *fixture) {
	f.run(t, "ReadBackAsKept", func(t *testing.T, b *bench) {
		a := b.person("jo")
		c := b.credential(a.ID, policy.TOTP)
		got, err := b.Credential(t.Context(), c.ID)
		b.must(err)
		b.same(got, c)
		bare := account.Credential{ID: account.NewCredentialID(), Account: a.ID, Factor: string(policy.WebAuthn), Label: "k", CreatedAt: Noon}
		b.update(func(ctx context.Context, tx store.Tx) error { return tx.InsertCredential(ctx, bare) })
		got, err = b.Credential(t.Context(), bare.ID)
		b.must(err)
		b.same(got, bare)
		owner, err := b.Account(t.Context(), a.ID)
		b.must(err)
		b.same(owner.Version, int64(2))
	})
	f.run(t, "UnknownIsNotFound", func(t *testing.T, b *bench) {
		_, err := b.Credential(t.Context(), "none")
		b.is(err, account.ErrNotFound)
		orphan := newCredential("nobody", policy.TOTP)
		b.is(b.Update(t.Context(), func(tx store.Tx) error { return tx.InsertCredential(t.Context(), orphan) }), account.ErrNotFound)
		b.is(b.Update(t.Context(), func(tx store.Tx) error { return tx.UpdateCredential(t.Context(), orphan) }), account.ErrNotFound)
		b.is(b.Update(t.Context(), func(tx store.Tx) error { return tx.DeleteCredential(t.Context(), orphan.ID) }), account.ErrNotFound)
		won, err := b.ConsumeStep(t.Context(), orphan.ID, 1, Noon)
		if err != nil || won {
			t.Errorf("a step of no credential: %v, %v", won, err)
		}
	})
	f.run(t, "UpdateReplacesFourFields", func(t *testing.T, b *bench) {
		c := b.credential(b.person("jo").ID, policy.TOTP)
		changed := newCredential("somebody else", policy.SMS)
		changed.ID, changed.Label, changed.Default, changed.LastUsedAt, changed.Counter = c.ID, "New", true, Noon.Add(time.Minute), 77
		changed.Secret = account.Secret("other")
		b.update(func(ctx context.Context, tx store.Tx) error { return tx.UpdateCredential(ctx, changed) })
		got, err := b.Credential(t.Context(), c.ID)
		b.must(err)
		c.Label, c.Default, c.LastUsedAt, c.Secret = changed.Label, true, changed.LastUsedAt, changed.Secret
		b.same(got, c)
	})
	f.run(t, "OneDefaultAndOrder", func(t *testing.T, b *bench) {
		a := b.person("jo")
		first, second, third := b.credential(a.ID, policy.TOTP), b.credential(a.ID, policy.SMS), b.credential(a.ID, policy.Email)
		used := func(c account.Credential, at time.Duration, byDefault bool) {
			c.LastUsedAt, c.Default = Noon.Add(at), byDefault
			b.update(func(ctx context.Context, tx store.Tx) error { return tx.UpdateCredential(ctx, c) })
		}
		used(first, time.Minute, true)
		used(second, time.Hour, false)
		used(third, 2*time.Hour, false)
		b.order(a.ID, first.ID, third.ID, second.ID)
		used(second, time.Hour, true)
		b.order(a.ID, second.ID, third.ID, first.ID)
		newest := newCredential(a.ID, policy.WebAuthn)
		newest.Default = true
		b.update(func(ctx context.Context, tx store.Tx) error { return tx.InsertCredential(ctx, newest) })
		b.order(a.ID, newest.ID, third.ID, second.ID, first.ID)
		got, err := b.Credential(t.Context(), second.ID)
		b.must(err)
		b.same(got.Default, false)
	})
	f.run(t, "Delete", func(t *testing.T, b *bench) {
		a, other := b.person("jo"), b.person("other")
		first, second, kept := b.credential(a.ID, policy.TOTP), b.credential(a.ID, policy.SMS), b.credential(other.ID, policy.SMS)
		b.update(func(ctx context.Context, tx store.Tx) error { return tx.DeleteCredential(ctx, first.ID) })
		b.order(a.ID, second.ID)
		b.update(func(ctx context.Context, tx store.Tx) error { return tx.DeleteCredentials(ctx, a.ID) })
		b.order(a.ID)
		b.order(other.ID, kept.ID)
	})
	f.run(t, "WhatWasProvedGoesWithIt", func(t *testing.T, b *bench) {
		a, other := b.person("jo"), b.person("other")
		gone, stays, hers := b.credential(a.ID, policy.TOTP), b.credential(a.ID, policy.SMS), b.credential(other.ID, policy.TOTP)
		with := func(owner account.ID, proofs ...policy.Proof) session.Session {
			s, _ := newSession(owner)
			s.Proofs = proofs
			b.must(b.InsertSession(t.Context(), s))
			return s
		}
		proof := func(c account.Credential) policy.Proof {
			return policy.Proof{Factor: policy.Factor(c.Factor), Credential: string(c.ID), At: Noon}
		}
		password := policy.Proof{Factor: policy.Password, At: Noon}
		both := with(a.ID, password, proof(gone), proof(stays))
		begun := with(a.ID, policy.Proof{Factor: policy.WebAuthn, Credential: string(gone.ID), At: Noon, UserVerified: true})
		untouched := with(other.ID, password, proof(hers))
		b.update(func(ctx context.Context, tx store.Tx) error { return tx.DeleteCredential(ctx, gone.ID) })
		left, _, err := b.SessionByHash(t.Context(), both.Hash, Noon)
		b.must(err)
		b.same(left.Proofs, []policy.Proof{password, proof(stays)})
		if _, _, err := b.SessionByHash(t.Context(), begun.Hash, Noon); !errors.Is(err, session.ErrNotFound) {
			t.Errorf("the session that it began goes on: %v", err)
		}
		b.update(func(ctx context.Context, tx store.Tx) error { return tx.DeleteCredentials(ctx, a.ID) })
		left, _, err = b.SessionByHash(t.Context(), both.Hash, Noon)
		b.must(err)
		b.same(left.Proofs, []policy.Proof{password})
		left, _, err = b.SessionByHash(t.Context(), untouched.Hash, Noon)
		b.must(err)
		b.same(left.Proofs, untouched.Proofs)
	})
	f.run(t, "UsesMoveForward", func(t *testing.T, b *bench) {
		c := b.credential(b.person("jo").ID, policy.Token)
		before, err := b.Account(t.Context(), c.Account)
		b.must(err)
		b.must(b.TouchCredentials(t.Context(), map[account.CredentialID]time.Time{c.ID: Noon.Add(time.Hour), "gone": Noon}))
		b.must(b.TouchCredentials(t.Context(), map[account.CredentialID]time.Time{c.ID: Noon.Add(time.Minute)}))
		got, err := b.Credential(t.Context(), c.ID)
		b.must(err)
		after, err := b.Account(t.Context(), c.Account)
		b.must(err)
		if !got.LastUsedAt.Equal(Noon.Add(time.Hour)) || after.Version != before.Version {
			t.Errorf("last used %s, version %d after %d", got.LastUsedAt, after.Version, before.Version)
		}
	})
	f.run(t, "StepIsConsumedOnce", func(t *testing.T, b *bench) {
		c := b.credential(b.person("jo").ID, policy.TOTP)
		b.oneWinner(race(callers, func(int) error {
			won, err := b.ConsumeStep(t.Context(), c.ID, 59, Noon.Add(time.Second))
			if err == nil && !won {
				return errSpent
			}
			return err
		}), errSpent)
		for step, want := range map[int64]bool{58: false, 59: false} {
			won, err := b.ConsumeStep(t.Context(), c.ID, step, Noon)
			if b.must(err); won != want {
				t.Errorf("step %d after 59: %v", step, won)
			}
		}
		got, err := b.Credential(t.Context(), c.ID)
		b.must(err)
		c.Counter, c.LastUsedAt = 59, Noon.Add(time.Second)
		b.same(got, c)
		won, err := b.ConsumeStep(t.Context(), c.ID, 60, Noon)
		if err != nil || !won {
			t.Errorf("step 60 after 59: %v, %v", won, err)
		}
	})
	f.run(t, "HandleIsUniqueAndFound", func(t *testing.T, b *bench) {
		jo, other := b.person("jo"), b.person("other")
		c := newCredential(jo.ID, policy.WebAuthn)
		c.Handle = "aGFuZGxl"
		b.update(func(ctx context.Context, tx store.Tx) error { return tx.InsertCredential(ctx, c) })
		got, err := b.CredentialByHandle(t.Context(), c.Handle)
		b.must(err)
		b.same(got, c)
		second := newCredential(other.ID, policy.WebAuthn)
		second.Handle = c.Handle
		b.is(b.Update(t.Context(), func(tx store.Tx) error { return tx.InsertCredential(t.Context(), second) }), account.ErrTaken)
		b.credential(jo.ID, policy.TOTP)
		b.credential(other.ID, policy.TOTP)
		for _, none := range []string{"", "aGFuZGxm", "AGFUZGXL"} {
			_, err := b.CredentialByHandle(t.Context(), none)
			b.is(err, account.ErrNotFound)
		}
		b.update(func(ctx context.Context, tx store.Tx) error { return tx.DeleteCredential(ctx, c.ID) })
		b.update(func(ctx context.Context, tx store.Tx) error { return tx.InsertCredential(ctx, second) })
	})
	f.run(t, "UseSeesWhatTheOneBeforeLeft", func(t *testing.T, b *bench) {
		a := b.person("jo")
		c := newCredential(a.ID, policy.BackupCode)
		c.Secret = account.Secret{callers}
		b.update(func(ctx context.Context, tx store.Tx) error { return tx.InsertCredential(ctx, c) })
		version, err := b.Account(t.Context(), a.ID)
		b.must(err)
		b.all(race(callers, func(int) error {
			_, err := b.UseCredential(t.Context(), c.ID, Noon.Add(time.Hour), func(c *account.Credential) error {
				if c.Secret[0] == 0 {
					return errSpent
				}
				c.Secret, c.Counter, c.Label = account.Secret{c.Secret[0] - 1}, c.Counter+1, "not kept"
				return nil
			})
			return err
		}))
		got, err := b.Credential(t.Context(), c.ID)
		b.must(err)
		want := c
		want.Secret, want.Counter, want.LastUsedAt = account.Secret{0}, callers, Noon.Add(time.Hour)
		b.same(got, want)
		after, err := b.Account(t.Context(), a.ID)
		b.must(err)
		b.same(after.Version, version.Version)
		_, err = b.UseCredential(t.Context(), c.ID, Noon.Add(2*time.Hour), func(c *account.Credential) error {
			c.Counter = 0
			return errSpent
		})
		b.is(err, errSpent)
		got, err = b.Credential(t.Context(), c.ID)
		b.must(err)
		b.same(got, want)
		_, err = b.UseCredential(t.Context(), "none", Noon, func(*account.Credential) error { return nil })
		b.is(err, account.ErrNotFound)
	})
}

var errSpent = errors.New("spent")

// order fails the test unless the account's credentials come in this order.
func (b *bench) order(owner account.ID, want ...account.CredentialID) {
	b.Helper()
	all, err := b.Store.Credentials(b.Context(), owner)
	b.must(err)
	var got []account.CredentialID
	for _, c := range all {
		got = append(got, c.ID)
	}
	b.same(got, want)
}
