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

func testSessions(t *testing.T, f *fixture) {
	f.run(t, "ReadBackWithOwner", func(t *testing.T, b *bench) {
		a := b.person("jo")
		s := b.session(a.ID)
		got, owner, err := b.SessionByHash(t.Context(), s.Hash, Noon)
		b.must(err)
		b.same(got, s)
		b.same(owner, session.Owner{Account: a})
		_, _, err = b.SessionByHash(t.Context(), session.NewIdentifier().Hash(), Noon)
		b.is(err, session.ErrNotFound)
	})
	f.run(t, "UnknownAccountGetsNone", func(t *testing.T, b *bench) {
		s, _ := newSession("nobody")
		b.is(b.InsertSession(t.Context(), s), account.ErrNotFound)
	})
	f.run(t, "PasswordChangedMeanwhileGetsNone", func(t *testing.T, b *bench) {
		a := b.person("jo")
		set := func(phc string) {
			b.must(b.Update(t.Context(), func(tx store.Tx) error { return tx.SetPasswordHash(t.Context(), a.ID, phc) }))
		}
		set("$argon2id$old")
		s, _ := newSession(a.ID)
		s.Password = account.MarkPassword("$argon2id$old")
		b.must(b.InsertSession(t.Context(), s))
		set("$argon2id$new")
		late, _ := newSession(a.ID)
		late.Password = s.Password
		b.is(b.InsertSession(t.Context(), late), session.ErrChanged)
		set("")
		b.is(b.InsertSession(t.Context(), late), session.ErrChanged)
	})
	f.run(t, "StrangeBytesOfVisitorAreKept", func(t *testing.T, b *bench) {
		s, _ := newSession(b.person("jo").ID)
		s.UserAgent = "a\x00b\xffc"
		b.must(b.InsertSession(t.Context(), s))
		got, _, err := b.SessionByHash(t.Context(), s.Hash, Noon)
		b.must(err)
		b.same(got.UserAgent, "ab\uFFFDc")
	})
	f.run(t, "OverAtItsEnd", func(t *testing.T, b *bench) {
		s := b.session(b.person("jo").ID)
		_, _, err := b.SessionByHash(t.Context(), s.Hash, s.EndsAt.Add(-1))
		b.must(err)
		_, _, err = b.SessionByHash(t.Context(), s.Hash, s.EndsAt)
		b.is(err, session.ErrNotFound)
		_, err = b.RaiseSession(t.Context(), session.Raising{ID: s.ID, Account: s.Account, Next: session.NewIdentifier().Hash(), Now: s.EndsAt, OverlapEnds: s.EndsAt, Change: func(*session.Session) error { return nil }})
		b.is(err, session.ErrNotFound)
		all, err := b.SessionsOf(t.Context(), s.Account, s.EndsAt)
		if err != nil || len(all) != 0 {
			t.Errorf("%d sessions are listed after their end, %v", len(all), err)
		}
	})
	f.run(t, "NeverIsNotThePast", func(t *testing.T, b *bench) {
		s, _ := newSession(b.person("jo").ID)
		s.EndsAt = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
		b.must(b.InsertSession(t.Context(), s))
		_, _, err := b.SessionByHash(t.Context(), s.Hash, Noon)
		b.must(err)
	})
	f.run(t, "RaiseLeavesOverlap", testRaise)
	f.run(t, "RaisesAtOnceAllHold", func(t *testing.T, b *bench) {
		s := b.session(b.person("jo").ID)
		var hashes [callers]session.Hash
		b.all(race(callers, func(i int) error {
			hashes[i] = session.NewIdentifier().Hash()
			_, err := b.RaiseSession(t.Context(), session.Raising{ID: s.ID, Account: s.Account, Next: hashes[i], Now: Noon, OverlapEnds: Noon.Add(session.Overlap), Change: func(s *session.Session) error {
				s.Proofs = append(s.Proofs, policy.Proof{Factor: policy.TOTP, Credential: numbered("c", i), At: Noon})
				return nil
			}})
			return err
		}))
		all, err := b.SessionsOf(t.Context(), s.Account, Noon)
		b.must(err)
		if len(all) != 1 || len(all[0].Proofs) != 1+callers {
			t.Fatalf("%d current sessions, the first with %d proofs; want 1 with %d", len(all), len(all[0].Proofs), 1+callers)
		}
		for _, h := range hashes {
			_, _, err := b.SessionByHash(t.Context(), h, Noon.Add(session.Overlap-1))
			b.must(err)
		}
	})
	f.run(t, "RaiseAgainstEndLeavesNothing", func(t *testing.T, b *bench) {
		a := b.person("jo")
		for range 10 {
			s := b.session(a.ID)
			b.all(race(8, func(i int) error {
				switch i {
				case 0:
					return b.EndSession(t.Context(), s.ID)
				case 1:
					return b.EndAccountSessions(t.Context(), a.ID, "")
				}
				_, err := b.RaiseSession(t.Context(), session.Raising{ID: s.ID, Account: s.Account, Next: session.NewIdentifier().Hash(), Now: Noon, OverlapEnds: Noon, Change: func(*session.Session) error { return nil }})
				if errors.Is(err, session.ErrNotFound) {
					return nil
				}
				return err
			}))
			all, err := b.SessionsOf(t.Context(), a.ID, Noon)
			if b.must(err); len(all) != 0 {
				t.Fatalf("a raised session outlived its end: %v", all)
			}
		}
	})
	f.run(t, "FailedRaiseChangesNothing", func(t *testing.T, b *bench) {
		s := b.session(b.person("jo").ID)
		next := session.NewIdentifier().Hash()
		_, err := b.RaiseSession(t.Context(), session.Raising{ID: s.ID, Account: s.Account, Next: next, Now: Noon, OverlapEnds: Noon, Change: func(s *session.Session) error { s.Risk = "high"; return errSpent }})
		if err != errSpent {
			t.Errorf("error of change came back as %v", err)
		}
		got, _, err := b.SessionByHash(t.Context(), s.Hash, Noon)
		b.must(err)
		b.same(got, s)
		_, _, err = b.SessionByHash(t.Context(), next, Noon)
		b.is(err, session.ErrNotFound)
	})
	f.run(t, "TouchNeverGoesBack", func(t *testing.T, b *bench) {
		s := b.session(b.person("jo").ID)
		for _, seen := range []time.Duration{time.Minute, time.Hour, -time.Hour, time.Minute} {
			b.must(b.TouchSessions(t.Context(), map[session.ID]time.Time{s.ID: Noon.Add(seen)}))
		}
		got, _, err := b.SessionByHash(t.Context(), s.Hash, Noon)
		b.must(err)
		b.same(got.SeenAt, Noon.Add(time.Hour))
		b.must(b.TouchSessions(t.Context(), map[session.ID]time.Time{"none": Noon}))
	})
	f.run(t, "End", func(t *testing.T, b *bench) {
		a, other := b.person("jo"), b.person("other")
		first, second, third, kept := b.session(a.ID), b.session(a.ID), b.session(a.ID), b.session(other.ID)
		b.must(b.EndSession(t.Context(), first.ID))
		b.must(b.EndSession(t.Context(), first.ID))
		b.live(a.ID, second.ID, third.ID)
		b.must(b.EndAccountSessions(t.Context(), a.ID, third.ID))
		b.live(a.ID, third.ID)
		b.must(b.EndAccountSessions(t.Context(), a.ID, ""))
		b.live(a.ID)
		b.live(other.ID, kept.ID)
	})
	f.run(t, "WhoseItWasIsKnownAfterwards", testRemains)
	f.run(t, "NewestFirst", func(t *testing.T, b *bench) {
		a := b.person("jo")
		var want []session.ID
		for _, age := range []time.Duration{3, 1, 2} {
			s, _ := newSession(a.ID)
			s.ID, s.CreatedAt = session.ID(numbered("s", int(age))), Noon.Add(-age*time.Hour)
			b.must(b.InsertSession(t.Context(), s))
		}
		all, err := b.SessionsOf(t.Context(), a.ID, Noon)
		b.must(err)
		for _, s := range all {
			want = append(want, s.ID)
		}
		b.same(want, []session.ID{"s-001", "s-002", "s-003"})
	})
}

// live fails the test unless these, in any order, are the current sessions.
func (b *bench) live(owner account.ID, want ...session.ID) {
	b.Helper()
	all, err := b.SessionsOf(b.Context(), owner, Noon)
	b.must(err)
	got, wanted := map[session.ID]bool{}, map[session.ID]bool{}
	for _, s := range all {
		got[s.ID] = true
	}
	for _, id := range want {
		wanted[id] = true
	}
	b.same(got, wanted)
}

func testRaise(t *testing.T, b *bench) {
	s := b.session(b.person("jo").ID)
	next := session.NewIdentifier().Hash()
	at, overlap := Noon.Add(time.Minute), Noon.Add(time.Minute+session.Overlap)
	raised, err := b.RaiseSession(t.Context(), session.Raising{ID: s.ID, Account: s.Account, Next: next, Now: at, OverlapEnds: overlap, Change: func(s *session.Session) error {
		s.Proofs = append(s.Proofs, policy.Proof{Factor: policy.TOTP, Credential: "c", At: at})
		s.ID, s.Account, s.SupersededAt = "other", "other", at // not for change to say
		s.Risk = "high"
		return nil
	}})
	b.must(err)
	want := s
	want.Hash, want.Risk = next, "high"
	want.Proofs = append(want.Proofs[:1:1], policy.Proof{Factor: policy.TOTP, Credential: "c", At: at})
	b.same(raised.Session, want)
	got, owner, err := b.SessionByHash(t.Context(), next, at)
	b.must(err)
	b.same(got, want)
	b.same(raised.Owner, owner)

	old, _, err := b.SessionByHash(t.Context(), s.Hash, overlap.Add(-1))
	b.must(err)
	wantOld := s
	wantOld.SupersededAt, wantOld.EndsAt = at, overlap
	b.same(old, wantOld)
	_, _, err = b.SessionByHash(t.Context(), s.Hash, overlap)
	b.is(err, session.ErrNotFound)
	b.live(s.Account, s.ID)

	// An overlap does not outlive the session.
	_, err = b.RaiseSession(t.Context(), session.Raising{ID: s.ID, Account: s.Account, Next: session.NewIdentifier().Hash(), Now: at, OverlapEnds: s.EndsAt.Add(time.Hour), Change: func(*session.Session) error { return nil }})
	b.must(err)
	_, _, err = b.SessionByHash(t.Context(), next, s.EndsAt)
	b.is(err, session.ErrNotFound)

	b.must(b.EndSession(t.Context(), s.ID))
	for _, h := range []session.Hash{s.Hash, next} {
		_, _, err = b.SessionByHash(t.Context(), h, at)
		b.is(err, session.ErrNotFound)
	}
}

// remains fails the test unless owner is known as the one of an identifier;
// "" means nobody.
func (b *bench) remains(h session.Hash, owner account.ID) {
	b.Helper()
	left, err := b.Remains(b.Context(), h)
	if owner == "" {
		b.is(err, session.ErrNotFound)
		return
	}
	b.must(err)
	b.same(left.Account, owner)
}

func testRemains(t *testing.T, b *bench) {
	a, other := b.person("jo"), b.person("other")
	lives, ended, over := b.session(a.ID), b.session(a.ID), b.session(a.ID)
	theirs := b.session(other.ID)
	b.must(b.TouchSessions(t.Context(), map[session.ID]time.Time{ended.ID: Noon.Add(time.Minute)}))
	b.must(b.EndSession(t.Context(), ended.ID))
	next := session.NewIdentifier().Hash()
	_, err := b.RaiseSession(t.Context(), session.Raising{ID: over.ID, Account: over.Account, Next: next, Now: Noon, OverlapEnds: Noon.Add(session.Overlap), Change: func(s *session.Session) error { return nil }})
	b.must(err)
	b.must(b.EndSession(t.Context(), over.ID))
	for _, h := range []session.Hash{lives.Hash, ended.Hash, over.Hash, next} {
		b.remains(h, a.ID)
	}
	left, err := b.Remains(t.Context(), ended.Hash)
	b.must(err)
	b.same(left, session.Remains{Account: a.ID, Site: ended.Site, SeenAt: Noon.Add(time.Minute), EndsAt: ended.EndsAt})
	left, err = b.Remains(t.Context(), over.Hash)
	b.must(err)
	b.same(left.EndsAt, Noon.Add(session.Overlap))
	b.remains(session.NewIdentifier().Hash(), "")

	b.must(b.EndAccountSessions(t.Context(), a.ID, lives.ID))
	b.remains(lives.Hash, a.ID)
	b.remains(ended.Hash, "")
	b.remains(theirs.Hash, other.ID)

	b.must(b.EndSession(t.Context(), lives.ID))
	a.SuspendedAt = Noon
	b.update(func(ctx context.Context, tx store.Tx) error { return tx.UpdateAccount(ctx, a) })
	b.remains(lives.Hash, "")
	b.update(func(ctx context.Context, tx store.Tx) error { return tx.DeleteAccount(ctx, other.ID) })
	b.remains(theirs.Hash, "")
}
