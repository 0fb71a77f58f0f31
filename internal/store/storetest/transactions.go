package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stepgate/stepgate/factors/delivery"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/store"
	"github.com/stepgate/stepgate/internal/throttle"
	"github.com/stepgate/stepgate/policy"
)

func testTransactions(t *testing.T, f *fixture) {
	f.run(t, "OpenTwiceIsOne", func(t *testing.T, b *bench) {
		s := b.session(b.person("jo").ID)
		want := newTransaction(s, "k")
		first, err := b.OpenTransaction(t.Context(), want, Noon)
		b.must(err)
		b.same(first, want)
		second, err := b.OpenTransaction(t.Context(), newTransaction(s, "k"), Noon)
		b.must(err)
		b.same(second, want)
		other, err := b.OpenTransaction(t.Context(), newTransaction(s, "other"), Noon)
		b.must(err)
		if other.ID == first.ID {
			t.Error("two keys have one transaction")
		}
		got, err := b.Transaction(t.Context(), first.ID, Noon)
		b.must(err)
		b.same(got, want)
	})
	f.run(t, "ListedByPurpose", func(t *testing.T, b *bench) {
		jo, ann := b.session(b.person("jo").ID), b.session(b.person("ann").ID)
		var want []ceremony.Transaction
		for i, s := range []session.Session{jo, ann, jo} {
			c := newTransaction(s, string(rune('a'+i)))
			c.Purpose, c.CreatedAt = "approval", Noon.Add(-time.Duration(i)*time.Minute)
			open, err := b.OpenTransaction(t.Context(), c, Noon)
			b.must(err)
			want = append([]ceremony.Transaction{open}, want...)
		}
		other := newTransaction(jo, "other")
		_, err := b.OpenTransaction(t.Context(), other, Noon)
		b.must(err)
		list := func(purpose string, at time.Time) []ceremony.Transaction {
			t.Helper()
			all, err := b.TransactionsFor(t.Context(), purpose, at)
			b.must(err)
			return all
		}
		b.same(list("approval", Noon), want)
		b.must(b.RedeemTransaction(t.Context(), want[1].ID, Noon))
		b.same(list("approval", Noon), []ceremony.Transaction{want[0], want[2]})
		if over, none := list("approval", want[0].ExpiresAt), list("approva", Noon); len(over)+len(none) > 0 {
			t.Errorf("%d at their end, %d of another purpose", len(over), len(none))
		}
	})
	f.run(t, "ManyOpenOne", func(t *testing.T, b *bench) {
		s := b.session(b.person("jo").ID)
		ids := make([]string, callers)
		b.all(race(callers, func(i int) error {
			open, err := b.OpenTransaction(t.Context(), newTransaction(s, "k"), Noon)
			ids[i] = open.ID
			return err
		}))
		for _, id := range ids {
			b.same(id, ids[0])
		}
	})
	f.run(t, "GoneAtItsEnd", func(t *testing.T, b *bench) {
		s := b.session(b.person("jo").ID)
		first, err := b.OpenTransaction(t.Context(), newTransaction(s, "k"), Noon)
		b.must(err)
		b.must(b.SaveTransaction(t.Context(), first, first.ExpiresAt.Add(-1)))
		first.Version++
		for _, err := range []error{
			b.SaveTransaction(t.Context(), first, first.ExpiresAt),
			b.RedeemTransaction(t.Context(), first.ID, first.ExpiresAt),
			b.RedeemTransaction(t.Context(), "none", Noon),
		} {
			b.is(err, ceremony.ErrTransactionGone)
		}
		_, err = b.Transaction(t.Context(), first.ID, first.ExpiresAt)
		b.is(err, ceremony.ErrTransactionGone)
		later := newTransaction(s, "k")
		later.ExpiresAt = later.ExpiresAt.Add(time.Hour)
		got, err := b.OpenTransaction(t.Context(), later, first.ExpiresAt)
		b.must(err)
		b.same(got, later)
	})
	f.run(t, "SaveRefusesOlderVersion", func(t *testing.T, b *bench) {
		s := b.session(b.person("jo").ID)
		open, err := b.OpenTransaction(t.Context(), newTransaction(s, "k"), Noon)
		b.must(err)
		b.oneWinner(race(callers, func(i int) error {
			mine := open
			mine.State, mine.ExpiresAt, mine.Subject = []byte(numbered("state", i)), Noon.Add(time.Hour), "not kept"
			return b.SaveTransaction(t.Context(), mine, Noon)
		}), ceremony.ErrTransactionGone)
		got, err := b.Transaction(t.Context(), open.ID, Noon)
		b.must(err)
		if got.Version != 1 || got.Subject != open.Subject || !got.ExpiresAt.Equal(Noon.Add(time.Hour)) || len(got.State) != len("state-000") {
			t.Errorf("after one save: %+v", got)
		}
	})
	f.run(t, "RedeemedOnce", func(t *testing.T, b *bench) {
		s := b.session(b.person("jo").ID)
		open, err := b.OpenTransaction(t.Context(), newTransaction(s, "k"), Noon)
		b.must(err)
		b.oneWinner(race(callers, func(int) error {
			return b.RedeemTransaction(t.Context(), open.ID, Noon)
		}), ceremony.ErrTransactionGone)
		b.is(b.SaveTransaction(t.Context(), open, Noon), ceremony.ErrTransactionGone)
		again, err := b.OpenTransaction(t.Context(), newTransaction(s, "k"), Noon)
		b.must(err)
		if again.ID == open.ID {
			t.Error("a redeemed transaction is open again")
		}
	})
	f.run(t, "DropEndsWhatAnAccountHasOpen", func(t *testing.T, b *bench) {
		a, other := b.person("jo"), b.person("other")
		s := b.session(a.ID)
		about := newTransaction(s, "about")
		by := newTransaction(s, "by")
		by.Subject = other.ID
		unrelated := newTransaction(b.session(other.ID), "unrelated")
		for _, c := range []ceremony.Transaction{about, by, unrelated} {
			_, err := b.OpenTransaction(t.Context(), c, Noon)
			b.must(err)
		}
		b.update(func(ctx context.Context, tx store.Tx) error { return tx.DropTransactions(ctx, a.ID) })
		for id, want := range map[string]bool{about.ID: false, by.ID: false, unrelated.ID: true} {
			if _, err := b.Transaction(t.Context(), id, Noon); (err == nil) != want {
				t.Errorf("transaction is open: %v, want %v (%v)", err == nil, want, err)
			}
		}
	})
	f.run(t, "EnrolOnce", testEnrolOnce)
	f.run(t, "PassOnce", testPassOnce)
	f.run(t, "Answer", testAnswer)
	f.run(t, "AnswerRace", testAnswerRace)
	f.run(t, "FirstIsFirstOfAnyNumberAtOnce", testEnrolFirst)
	f.run(t, "EnrolIsAllOrNothing", func(t *testing.T, b *bench) {
		a := b.person("jo")
		open, err := b.OpenTransaction(t.Context(), newTransaction(b.session(a.ID), "k"), Noon)
		b.must(err)
		for name, e := range map[string]ceremony.Enrolled{
			"event that is none":   {Credential: newCredential(a.ID, policy.TOTP), Event: audit.Event{At: Noon, Name: "no such"}},
			"somebody else's":      {Credential: newCredential(b.person("other").ID, policy.TOTP), Event: audit.Event{At: Noon, Name: audit.FactorEnrolled}},
			"unknown account":      {Credential: newCredential("nobody", policy.TOTP), Event: audit.Event{At: Noon, Name: audit.FactorEnrolled}},
			"credential ID exists": {Credential: b.credential(a.ID, policy.SMS), Event: audit.Event{At: Noon, Name: audit.FactorEnrolled}},
		} {
			before, err := b.Store.Credentials(t.Context(), a.ID)
			b.must(err)
			e.Transaction, e.Messages = open.ID, []delivery.Queued{newMessage(name, delivery.Email)}
			if err := b.Enrol(t.Context(), e, Noon); err == nil || errors.Is(err, ceremony.ErrTransactionGone) {
				t.Errorf("%s: error is %v", name, err)
			}
			after, err := b.Store.Credentials(t.Context(), a.ID)
			b.must(err)
			b.same(after, before)
			_, err = b.Transaction(t.Context(), open.ID, Noon)
			b.must(err)
		}
		events, err := b.Events(t.Context(), audit.Query{})
		if b.must(err); len(events) != 0 {
			t.Errorf("%d events of enrolments that failed", len(events))
		}
		if waiting := b.claim(Noon, 10); len(waiting) != 0 {
			t.Errorf("%d messages tell of enrolments that failed", len(waiting))
		}
	})
	f.run(t, "EventAndMessagesAreNotedTogether", func(t *testing.T, b *bench) {
		if err := b.Note(t.Context(), audit.Event{At: Noon, Name: "no such"}, []delivery.Queued{newMessage("lost", delivery.Email)}); err == nil {
			t.Error("an event that is none was noted")
		}
		b.must(b.Note(t.Context(), audit.Event{At: Noon, Name: audit.LoginSuccess}, []delivery.Queued{newMessage("told", delivery.Email)}))
		if waiting := b.claim(Noon, 10); len(waiting) != 1 || waiting[0].ID != "told" {
			t.Errorf("%v wait", waiting)
		}
	})
	f.run(t, "FirstOfItsFactorBecomesDefault", func(t *testing.T, b *bench) {
		a := b.person("jo")
		s := b.session(a.ID)
		enrol := func(factor policy.Factor) account.Credential {
			open, err := b.OpenTransaction(t.Context(), newTransaction(s, "k"), Noon)
			b.must(err)
			c := newCredential(a.ID, factor)
			b.must(b.Enrol(t.Context(), ceremony.Enrolled{Transaction: open.ID, Credential: c, Event: audit.Event{At: Noon, Name: audit.FactorEnrolled}}, Noon))
			got, err := b.Credential(t.Context(), c.ID)
			b.must(err)
			return got
		}
		first := enrol(policy.TOTP)
		b.same(first.Default, true)
		second := enrol(policy.SMS)
		b.same(second.Default, false)
		first.Default = false
		b.update(func(ctx context.Context, tx store.Tx) error { return tx.UpdateCredential(ctx, first) })
		b.same(enrol(policy.TOTP).Default, false)
		b.same(enrol(policy.WebAuthn).Default, true)
	})
	f.run(t, "SoleEnrolmentVoidsTheOthersOfItsFactor", func(t *testing.T, b *bench) {
		a, other := b.person("jo"), b.person("other")
		b.credential(a.ID, policy.BackupCode)
		kept, foreign := b.credential(a.ID, policy.TOTP), b.credential(other.ID, policy.BackupCode)
		open, err := b.OpenTransaction(t.Context(), newTransaction(b.session(a.ID), "k"), Noon)
		b.must(err)
		c := newCredential(a.ID, policy.BackupCode)
		c.CreatedAt = Noon.Add(time.Minute)
		b.must(b.Enrol(t.Context(), ceremony.Enrolled{Transaction: open.ID, Credential: c, Sole: true, Event: audit.Event{At: Noon, Name: audit.FactorEnrolled}}, Noon))
		b.order(a.ID, c.ID, kept.ID)
		b.order(other.ID, foreign.ID)
	})
}

func testEnrolFirst(t *testing.T, b *bench) {
	a := b.person("jo")
	b.credential(a.ID, policy.BackupCode) // no second factor
	enrol := func(first *ceremony.First) error {
		open, err := b.OpenTransaction(t.Context(), newTransaction(b.session(a.ID), "k"), Noon)
		if err != nil {
			return err
		}
		return b.Enrol(t.Context(), ceremony.Enrolled{
			Transaction: open.ID, Credential: newCredential(a.ID, policy.TOTP), First: first,
			Event: audit.Event{At: Noon, Name: audit.FactorEnrolled, Account: string(a.ID)},
		}, Noon)
	}
	among := []string{string(policy.TOTP), string(policy.SMS)}
	b.oneWinner(race(callers, func(int) error { return enrol(&ceremony.First{Among: among}) }), ceremony.ErrNotFirst)
	held, err := b.Store.Credentials(t.Context(), a.ID)
	b.must(err)
	seen := []account.CredentialID{held[0].ID, held[1].ID}
	b.must(enrol(&ceremony.First{Among: among, Beside: seen}))
	b.is(enrol(&ceremony.First{Among: among, Beside: seen}), ceremony.ErrNotFirst)
}

func testEnrolOnce(t *testing.T, b *bench) {
	a := b.person("jo")
	open, err := b.OpenTransaction(t.Context(), newTransaction(b.session(a.ID), "k"), Noon)
	b.must(err)
	b.oneWinner(race(callers, func(int) error {
		return b.Enrol(t.Context(), ceremony.Enrolled{
			Transaction: open.ID, Credential: newCredential(a.ID, policy.TOTP),
			Event: audit.Event{At: Noon, Name: audit.FactorEnrolled, Account: string(a.ID)},
		}, Noon)
	}), ceremony.ErrTransactionGone)
	all, err := b.Store.Credentials(t.Context(), a.ID)
	b.must(err)
	events, err := b.Events(t.Context(), audit.Query{Account: string(a.ID)})
	b.must(err)
	if len(all) != 1 || len(events) != 1 {
		t.Errorf("%d credentials and %d events of one enrolment", len(all), len(events))
	}
}

// testPassOnce: what a right answer brings is kept once, all of it or nothing.
func testPassOnce(t *testing.T, b *bench) {
	a := b.person("jo")
	s := b.session(a.ID)
	open, err := b.OpenTransaction(t.Context(), newTransaction(s, "k"), Noon)
	b.must(err)
	key := throttle.Key{1}
	b.must(b.Counters(t.Context(), []throttle.Key{key}, func(c []throttle.Counter) error { c[0].Count = 3; return nil }))
	count := func() (n int64) {
		b.must(b.Counters(t.Context(), []throttle.Key{key}, func(c []throttle.Counter) error { n = c[0].Count; return nil }))
		return n
	}
	mark := newTransaction(s, "once/mark")
	pass := func(of session.ID, transaction string) error {
		_, err := b.Pass(t.Context(), ceremony.Passed{
			Transaction: transaction, Earmark: &mark, Counters: []throttle.Key{key}, Settle: func(c []throttle.Counter) { c[0] = throttle.Counter{} },
			Event: audit.Event{At: Noon, Name: audit.ChallengePassed, Account: string(a.ID)},
			Raising: session.Raising{
				ID: of, Account: a.ID, Next: session.NewIdentifier().Hash(), Now: Noon, OverlapEnds: Noon.Add(session.Overlap),
				Change: func(s *session.Session) error { s.Risk = "high"; return nil },
			},
		}, Noon)
		return err
	}
	b.is(pass("gone", open.ID), session.ErrNotFound)
	b.is(pass(s.ID, "gone"), ceremony.ErrTransactionGone)
	if _, err := b.FindTransaction(t.Context(), s.ID, mark.Key, Noon); count() != 3 || !errors.Is(err, ceremony.ErrTransactionGone) {
		t.Errorf("something of an answer that did not pass is kept: %d, %v", count(), err)
	}
	b.oneWinner(race(callers, func(int) error { return pass(s.ID, open.ID) }), ceremony.ErrTransactionGone)
	_, err = b.FindTransaction(t.Context(), s.ID, mark.Key, Noon)
	b.must(err)
	events, err := b.Events(t.Context(), audit.Query{Account: string(a.ID)})
	b.must(err)
	rows, err := b.SessionsOf(t.Context(), a.ID, Noon)
	if b.must(err); len(events) != 1 || count() != 0 || len(rows) != 1 || rows[0].Risk != "high" {
		t.Errorf("%d events, %d tries, sessions %v", len(events), count(), rows)
	}
}
