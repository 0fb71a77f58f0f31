package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/store"
)

// tied is a session that ends with others.
func (b *bench) tied(owner account.ID, source string, tie session.Tie) session.Session {
	b.Helper()
	s, _ := newSession(owner)
	s.Source, s.Tie = source, tie
	b.must(b.InsertSession(b.Context(), s))
	return s
}

func testTies(t *testing.T, f *fixture) {
	f.run(t, "OneSignInEndsAsOne", func(t *testing.T, b *bench) {
		a := b.person("jo")
		root := b.tied(a.ID, "oidc", session.Tie{IssuerSession: "there"})
		one, two := b.tied(a.ID, "at", session.Tie{Root: root.ID}), b.tied(a.ID, "at", session.Tie{Root: root.ID})
		other := b.session(a.ID)
		ended, err := b.EndTied(t.Context(), one.ID)
		b.must(err)
		b.same(len(ended), 3)
		b.live(a.ID, other.ID)
		b.remains(two.Hash, a.ID)
		_, err = b.EndTied(t.Context(), one.ID)
		b.must(err)
		_, err = b.EndTied(t.Context(), other.ID)
		b.must(err)
		b.live(a.ID)
	})
	f.run(t, "OneThatIdlesOutEndsAlone", func(t *testing.T, b *bench) {
		a := b.person("jo")
		root := b.tied(a.ID, "oidc", session.Tie{IssuerSession: "there"})
		one := b.tied(a.ID, "at", session.Tie{Root: root.ID})
		b.must(b.EndSession(t.Context(), root.ID))
		b.live(a.ID, one.ID)
		b.must(b.Purge(t.Context(), Noon))
		ended, err := b.EndIssuerSessions(t.Context(), "oidc", "there")
		b.must(err)
		b.same(len(ended), 2)
		b.live(a.ID)
	})
	f.run(t, "WhatBindsNothingIsDeleted", func(t *testing.T, b *bench) {
		a := b.person("jo")
		root := b.tied(a.ID, "oidc", session.Tie{Note: []byte("root")})
		one, lives := b.tied(a.ID, "at", session.Tie{Root: root.ID}), b.tied(a.ID, "oidc", session.Tie{Note: []byte("lives")})
		b.must(b.EndSession(t.Context(), root.ID))
		b.must(b.Purge(t.Context(), Noon))
		_, err := b.SessionNote(t.Context(), root.ID)
		b.must(err) // the other ends with it
		b.must(b.EndSession(t.Context(), one.ID))
		b.must(b.Purge(t.Context(), Noon))
		b.must(b.Purge(t.Context(), Noon))
		_, err = b.SessionNote(t.Context(), root.ID)
		b.is(err, session.ErrNotFound)
		_, err = b.SessionNote(t.Context(), one.ID)
		b.is(err, session.ErrNotFound)
		_, err = b.SessionNote(t.Context(), lives.ID)
		b.must(err)
	})
	f.run(t, "AnIssuersSessionIsItsSourcesAlone", func(t *testing.T, b *bench) {
		a := b.person("jo")
		mine, theirs := b.tied(a.ID, "oidc", session.Tie{IssuerSession: "1"}), b.tied(a.ID, "other", session.Tie{IssuerSession: "1"})
		none := b.session(a.ID)
		for _, name := range []string{"2", ""} {
			ended, err := b.EndIssuerSessions(t.Context(), "oidc", name)
			b.must(err)
			b.same(len(ended), 0)
		}
		_, err := b.EndIssuerSessions(t.Context(), "oidc", "1")
		b.must(err)
		b.live(a.ID, theirs.ID, none.ID)
		_, err = b.SessionNote(t.Context(), mine.ID)
		b.is(err, session.ErrNotFound)
	})
	f.run(t, "TheLatestSignInOfASessionCounts", func(t *testing.T, b *bench) {
		a := b.person("jo")
		s := b.tied(a.ID, "oidc", session.Tie{IssuerSession: "1", Note: []byte("first")})
		raise := func(change func(*session.Session)) {
			_, err := b.RaiseSession(t.Context(), session.Raising{ID: s.ID, Account: s.Account, Next: session.NewIdentifier().Hash(), Now: Noon, OverlapEnds: Noon.Add(session.Overlap), Change: func(s *session.Session) error {
				change(s)
				return nil
			}})
			b.must(err)
		}
		raise(func(*session.Session) {})
		note, err := b.SessionNote(t.Context(), s.ID)
		b.must(err)
		b.same(string(note), "first")
		raise(func(s *session.Session) { s.Tie = session.Tie{IssuerSession: "2", Note: []byte("second")} })
		note, err = b.SessionNote(t.Context(), s.ID)
		b.must(err)
		b.same(string(note), "second")
		_, err = b.EndIssuerSessions(t.Context(), "oidc", "1")
		b.must(err)
		b.live(a.ID, s.ID)
	})
	f.run(t, "PeopleOfASourceAreListedOnce", func(t *testing.T, b *bench) {
		jo, ann := newAccount("jo"), newAccount("ann")
		jo.Source = "ldap"
		b.update(func(ctx context.Context, tx store.Tx) error {
			return errors.Join(tx.InsertAccount(ctx, jo), tx.InsertAccount(ctx, ann))
		})
		b.tied(jo.ID, "ldap", session.Tie{})
		s := b.tied(jo.ID, "sign_in_at", session.Tie{})
		b.session(ann.ID)
		owners := func(at time.Time) []account.ID {
			all, err := b.SessionOwners(context.Background(), "ldap", at)
			b.must(err)
			return all
		}
		b.same(owners(Noon), []account.ID{jo.ID})
		b.same(len(owners(s.EndsAt)), 0)
		b.must(b.EndAccountSessions(t.Context(), jo.ID, ""))
		b.same(len(owners(Noon)), 0)
	})
}
