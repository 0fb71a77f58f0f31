package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/store"
	"github.com/stepgate/stepgate/policy"
)

func testAccounts(t *testing.T, f *fixture) {
	f.run(t, "ReadBackAsKept", func(t *testing.T, b *bench) {
		if found, err := b.AnyAccount(t.Context()); err != nil || found {
			t.Fatalf("new store has an account: %v, %v", found, err)
		}
		a := b.person("Jo.Bloggs")
		got, err := b.Account(t.Context(), a.ID)
		b.must(err)
		b.same(got, a)
		got, err = b.AccountByUsername(t.Context(), a.Source, account.FoldUsername(" ｊO.BLOGGS "))
		b.must(err)
		b.same(got, a)
		got, err = b.AccountBySubject(t.Context(), a.Source, a.Subject)
		b.must(err)
		b.same(got, a)
		if found, err := b.AnyAccount(t.Context()); err != nil || !found {
			t.Errorf("an account is not found: %v, %v", found, err)
		}
	})
	f.run(t, "UnknownIsNotFound", func(t *testing.T, b *bench) {
		_, err := b.Account(t.Context(), "nobody")
		b.is(err, account.ErrNotFound)
		_, err = b.AccountByUsername(t.Context(), account.LocalSource, "nob\x00dy\xff")
		b.is(err, account.ErrNotFound)
		_, err = b.AccountBySubject(t.Context(), account.LocalSource, "nobody")
		b.is(err, account.ErrNotFound)
		_, err = b.PasswordHash(t.Context(), "nobody")
		b.is(err, account.ErrNotFound)
		for name, change := range map[string]func(store.Tx) error{
			"update":   func(tx store.Tx) error { return tx.UpdateAccount(t.Context(), newAccount("nobody")) },
			"delete":   func(tx store.Tx) error { return tx.DeleteAccount(t.Context(), "nobody") },
			"password": func(tx store.Tx) error { return tx.SetPasswordHash(t.Context(), "nobody", "phc") },
		} {
			if err := b.Update(t.Context(), change); err == nil {
				t.Errorf("%s: no error", name)
			} else {
				b.is(err, account.ErrNotFound)
			}
		}
	})
	f.run(t, "StrangeBytesFindNobody", func(t *testing.T, b *bench) {
		a := b.person("jo")
		for _, strange := range []string{"\x00", "\xff"} {
			_, err := b.Account(t.Context(), a.ID+account.ID(strange))
			b.is(err, account.ErrNotFound)
			_, err = b.AccountByUsername(t.Context(), a.Source, "jo"+strange)
			b.is(err, account.ErrNotFound)
			_, err = b.AccountBySubject(t.Context(), a.Source, a.Subject+strange)
			b.is(err, account.ErrNotFound)
			_, err = b.Organisation(t.Context(), account.DefaultOrganisation+strange)
			b.is(err, account.ErrNotFound)
			_, err = b.Credential(t.Context(), account.CredentialID(strange))
			b.is(err, account.ErrNotFound)
			_, err = b.Accounts(t.Context(), account.Filter{Query: "j" + strange})
			b.must(err)
			listed, err := b.Accounts(t.Context(), account.Filter{Organisation: account.DefaultOrganisation + strange})
			if b.must(err); len(listed) != 0 {
				t.Errorf("an organisation that cannot be has %d accounts", len(listed))
			}
			b.must(b.EndSession(t.Context(), session.ID(strange)))

			clash := newAccount("other" + strange)
			clash.Subject = a.Subject + strange
			if err := b.Update(t.Context(), func(tx store.Tx) error { return tx.InsertAccount(t.Context(), clash) }); err == nil {
				t.Error("a name that cannot be compared was kept")
			}
			named := newAccount("named" + numbered("x", len(strange)+int(strange[0])))
			named.Name = "a" + strange
			b.update(func(ctx context.Context, tx store.Tx) error { return tx.InsertAccount(ctx, named) })
		}
	})
	f.run(t, "NamesAreUniqueWithinSource", testUniqueNames)
	f.run(t, "RaceForNameHasOneWinner", func(t *testing.T, b *bench) {
		b.oneWinner(race(callers, func(i int) error {
			return b.Update(t.Context(), func(tx store.Tx) error { return tx.InsertAccount(t.Context(), newAccount("same")) })
		}), account.ErrTaken)
	})
	f.run(t, "UpdateReplacesAndMovesVersion", func(t *testing.T, b *bench) {
		a := b.person("jo")
		changed := newAccount("joe")
		changed.ID, changed.Subject, changed.CreatedAt, changed.Version = a.ID, "elsewhere", Noon.Add(time.Hour), 99
		changed.Groups, changed.TwoFactor, changed.Role = nil, false, account.RoleOwner
		b.update(func(ctx context.Context, tx store.Tx) error { return tx.UpdateAccount(ctx, changed) })
		got, err := b.Account(t.Context(), a.ID)
		b.must(err)
		changed.CreatedAt, changed.Version = a.CreatedAt, 1
		b.same(got, changed)
	})
	f.run(t, "ConcurrentUpdatesLoseNothing", func(t *testing.T, b *bench) {
		a := b.person("jo")
		b.all(race(callers, func(i int) error {
			return b.Update(t.Context(), func(tx store.Tx) error {
				now, err := tx.Account(t.Context(), a.ID)
				if err != nil {
					return err
				}
				now.Groups = append(now.Groups, numbered("group", i))
				return tx.UpdateAccount(t.Context(), now)
			})
		}))
		got, err := b.Account(t.Context(), a.ID)
		b.must(err)
		if len(got.Groups) != len(a.Groups)+callers || got.Version != callers {
			t.Errorf("%d groups at version %d, want %d at %d", len(got.Groups), got.Version, len(a.Groups)+callers, callers)
		}
	})
	f.run(t, "PasswordHash", func(t *testing.T, b *bench) {
		a := b.person("jo")
		for _, phc := range []string{"", "$argon2id$v=19$x", ""} {
			if phc != "" {
				b.update(func(ctx context.Context, tx store.Tx) error { return tx.SetPasswordHash(ctx, a.ID, phc) })
			}
			got, err := b.PasswordHash(t.Context(), a.ID)
			b.must(err)
			b.same(got, phc)
			b.update(func(ctx context.Context, tx store.Tx) error { return tx.SetPasswordHash(ctx, a.ID, "") })
		}
	})
	f.run(t, "SuspendedHasNoSessions", func(t *testing.T, b *bench) {
		a := b.person("jo")
		s := b.session(a.ID)
		a.SuspendedAt = Noon
		b.update(func(ctx context.Context, tx store.Tx) error { return tx.UpdateAccount(ctx, a) })
		_, _, err := b.SessionByHash(t.Context(), s.Hash, Noon)
		b.is(err, session.ErrNotFound)
		again, _ := newSession(a.ID)
		b.is(b.InsertSession(t.Context(), again), account.ErrNotFound)
	})
	f.run(t, "DeleteRemovesEverythingButTheTrail", testDeleteAccount)
	f.run(t, "Listing", testListing)
	f.run(t, "FoundByWhatItIs", testFinding)
}

func testUniqueNames(t *testing.T, b *bench) {
	a := b.person("Jo")
	folded := newAccount(" ＪO ")
	sameSubject := newAccount("other")
	sameSubject.Subject = a.Subject
	for name, clash := range map[string]account.Account{"username": folded, "subject": sameSubject} {
		err := b.Update(t.Context(), func(tx store.Tx) error { return tx.InsertAccount(t.Context(), clash) })
		if b.is(err, account.ErrTaken); t.Failed() {
			t.Fatalf("insert with the same %s", name)
		}
	}
	elsewhere := newAccount("jo")
	elsewhere.Source, elsewhere.Subject = "directory", a.Subject
	b.update(func(ctx context.Context, tx store.Tx) error { return tx.InsertAccount(ctx, elsewhere) })

	other := b.person("other")
	renamed := other
	renamed.Username = "JO"
	b.is(b.Update(t.Context(), func(tx store.Tx) error { return tx.UpdateAccount(t.Context(), renamed) }), account.ErrTaken)

	// A name that is taken leaves the transaction usable.
	third := newAccount("third")
	b.update(func(ctx context.Context, tx store.Tx) error {
		b.is(tx.InsertAccount(ctx, folded), account.ErrTaken)
		b.is(tx.UpdateAccount(ctx, renamed), account.ErrTaken)
		return tx.InsertAccount(ctx, third)
	})
	_, err := b.Account(t.Context(), third.ID)
	b.must(err)

	nowhere := newAccount("nowhere")
	nowhere.Organisation = "no-such"
	b.is(b.Update(t.Context(), func(tx store.Tx) error { return tx.InsertAccount(t.Context(), nowhere) }), account.ErrNotFound)
}

func testDeleteAccount(t *testing.T, b *bench) {
	a, other := b.person("jo"), b.person("other")
	c, kept := b.credential(a.ID, policy.TOTP), b.credential(other.ID, policy.TOTP)
	s, keptSession := b.session(a.ID), b.session(other.ID)
	open, err := b.OpenTransaction(t.Context(), newTransaction(s, "k"), Noon)
	b.must(err)
	_, err = b.AppendEvent(t.Context(), audit.Event{At: Noon, Name: audit.UserCreated, Account: string(a.ID)})
	b.must(err)

	b.update(func(ctx context.Context, tx store.Tx) error { return tx.DeleteAccount(ctx, a.ID) })

	_, err = b.Account(t.Context(), a.ID)
	b.is(err, account.ErrNotFound)
	_, err = b.Credential(t.Context(), c.ID)
	b.is(err, account.ErrNotFound)
	_, _, err = b.SessionByHash(t.Context(), s.Hash, Noon)
	b.is(err, session.ErrNotFound)
	if _, err = b.Transaction(t.Context(), open.ID, Noon); err == nil {
		t.Error("the account's transaction is still open")
	}
	events, err := b.Events(t.Context(), audit.Query{Account: string(a.ID)})
	b.must(err)
	if len(events) != 1 {
		t.Errorf("%d events of the account are left, want 1", len(events))
	}
	_, err = b.Credential(t.Context(), kept.ID)
	b.must(err)
	_, _, err = b.SessionByHash(t.Context(), keptSession.Hash, Noon)
	b.must(err)
}

func testListing(t *testing.T, b *bench) {
	b.update(func(ctx context.Context, tx store.Tx) error {
		return tx.InsertOrganisation(ctx, account.Organisation{Name: "police", CreatedAt: Noon})
	})
	add := func(username string, edit func(*account.Account)) {
		a := newAccount(username)
		edit(&a)
		b.update(func(ctx context.Context, tx store.Tx) error { return tx.InsertAccount(ctx, a) })
	}
	add("bob", func(a *account.Account) { a.Name, a.Organisation = "Robert 100% Müller", "police" })
	add("Alice", func(a *account.Account) { a.Source = "directory" })
	add("carol_x", func(a *account.Account) { a.Email = "C.X@Straße.example" })
	add("alice", func(a *account.Account) { a.Name = "Second" })
	add("dave", func(a *account.Account) { a.Role = account.RoleUser })

	for _, row := range []struct {
		name   string
		filter account.Filter
		want   []string
	}{
		{"all", account.Filter{}, []string{"alice", "alice", "bob", "carol_x", "dave"}},
		{"organisation", account.Filter{Organisation: "police"}, []string{"bob"}},
		{"source", account.Filter{Source: "directory"}, []string{"alice"}},
		{"beginning of username", account.Filter{Query: " ALI "}, []string{"alice", "alice"}},
		{"a word of the name", account.Filter{Query: "MÜLL"}, []string{"bob"}},
		{"words of the name in any order", account.Filter{Query: "mü rob 1"}, []string{"bob"}},
		{"a word that is not there", account.Filter{Query: "rob second"}, nil},
		{"part of e-mail", account.Filter{Query: "strasse"}, []string{"carol_x"}},
		{"all of an e-mail", account.Filter{Query: "C.X@Straße.example"}, []string{"carol_x"}},
		{"several words of one account", account.Filter{Query: "c"}, []string{"carol_x"}},
		{"in the order of the words", account.Filter{Query: "s"}, []string{"alice", "carol_x"}},
		{"wildcards are letters", account.Filter{Query: "a%"}, nil},
		{"or are left out", account.Filter{Query: "_x"}, []string{"carol_x"}},
		{"no word", account.Filter{Query: "!"}, nil},
		{"role", account.Filter{Role: account.RoleUser}, []string{"dave"}},
		{"role in an organisation", account.Filter{Role: account.RoleUser, Organisation: "police"}, nil},
		{"role among what is found", account.Filter{Role: account.RoleUser, Query: "d"}, []string{"dave"}},
		{"both", account.Filter{Query: "b", Organisation: "police", Source: account.LocalSource}, []string{"bob"}},
		{"none", account.Filter{Query: "zz"}, nil},
	} {
		for _, limit := range []int{0, 1, 2} {
			filter := row.filter
			filter.Limit = limit
			got, err := b.pages(filter)
			b.must(err)
			if b.same(got, row.want); t.Failed() {
				t.Fatalf("%s, pages of %d", row.name, limit)
			}
		}
	}
	for _, query := range []string{"", "a"} {
		_, err := b.Accounts(t.Context(), account.Filter{Query: query, After: "gone"})
		b.is(err, account.ErrNotFound)
	}
	found, err := b.AccountsNamed(t.Context(), "alice")
	b.must(err)
	if len(found) != 2 || found[0].Source != "directory" || found[1].Source != account.LocalSource {
		t.Errorf("accounts of one name: %v", found)
	}
	names, err := b.Usernames(t.Context(), []account.ID{found[0].ID, "gone", found[1].ID, "str\x00nge"})
	b.must(err)
	if len(names) != 0 {
		t.Errorf("names with an ID that cannot be: %v", names)
	}
	names, err = b.Usernames(t.Context(), []account.ID{found[0].ID, "gone"})
	if b.must(err); len(names) != 1 || names[found[0].ID] != "Alice (directory)" {
		t.Errorf("names of accounts: %v", names)
	}
}

// testFinding is for what an account is found by: it changes with the account,
// and goes with it.
func testFinding(t *testing.T, b *bench) {
	found := func(query string, want ...string) {
		t.Helper()
		got, err := b.pages(account.Filter{Query: query})
		b.must(err)
		b.same(got, want)
	}
	a := b.person("jo")
	a.Name, a.Username = "Joanna Bloggs", "joanna"
	b.update(func(ctx context.Context, tx store.Tx) error { return tx.UpdateAccount(ctx, a) })
	found("bloggs", "joanna")
	found("joanna", "joanna")
	b.update(func(ctx context.Context, tx store.Tx) error {
		return tx.InsertOrganisation(ctx, account.Organisation{Name: "police", CreatedAt: Noon})
	})
	a.Name, a.Organisation = "", "police"
	b.update(func(ctx context.Context, tx store.Tx) error { return tx.UpdateAccount(ctx, a) })
	found("bloggs")
	inside, err := b.Accounts(t.Context(), account.Filter{Query: "joanna", Organisation: "police"})
	if b.must(err); len(inside) != 1 {
		t.Errorf("not found in the organisation it has moved to: %v", inside)
	}
	b.update(func(ctx context.Context, tx store.Tx) error { return tx.DeleteAccount(ctx, a.ID) })
	found("joanna")
}

// pages reads a listing to its end.
func (b *bench) pages(f account.Filter) (names []string, err error) {
	for {
		page, err := b.Accounts(b.Context(), f)
		if err != nil || len(page) == 0 {
			return names, err
		}
		for _, a := range page {
			names = append(names, account.FoldUsername(a.Username))
			f.After = a.ID
		}
	}
}

func testOrganisations(t *testing.T, f *fixture) {
	f.run(t, "DefaultExistsInNewStore", func(t *testing.T, b *bench) {
		all, err := b.Organisations(t.Context())
		b.must(err)
		if len(all) != 1 || all[0].Name != account.DefaultOrganisation || all[0].Require != "" {
			t.Errorf("a new store has the organisations %v", all)
		}
		b.is(b.Update(t.Context(), func(tx store.Tx) error {
			return tx.DeleteOrganisation(t.Context(), account.DefaultOrganisation)
		}), account.ErrInUse)
	})
	f.run(t, "Life", func(t *testing.T, b *bench) {
		o := account.Organisation{Name: "police", Require: "mfa", CreatedAt: Noon}
		insert := func(tx store.Tx) error { return tx.InsertOrganisation(t.Context(), o) }
		b.must(b.Update(t.Context(), insert))
		b.is(b.Update(t.Context(), insert), account.ErrTaken)
		got, err := b.Organisation(t.Context(), "police")
		b.must(err)
		b.same(got, o)

		a := newAccount("jo")
		a.Organisation = "police"
		b.update(func(ctx context.Context, tx store.Tx) error { return tx.InsertAccount(ctx, a) })
		o.Require = "phishing_resistant"
		b.update(func(ctx context.Context, tx store.Tx) error { return tx.UpdateOrganisation(ctx, o) })
		s := b.session(a.ID)
		_, owner, err := b.SessionByHash(t.Context(), s.Hash, Noon)
		b.must(err)
		b.same(owner, session.Owner{Account: a, Require: "phishing_resistant"})

		remove := func(tx store.Tx) error { return tx.DeleteOrganisation(t.Context(), "police") }
		b.is(b.Update(t.Context(), remove), account.ErrInUse)
		b.update(func(ctx context.Context, tx store.Tx) error { return tx.DeleteAccount(ctx, a.ID) })
		b.must(b.Update(t.Context(), remove))
		_, err = b.Organisation(t.Context(), "police")
		b.is(err, account.ErrNotFound)
		b.is(b.Update(t.Context(), remove), account.ErrNotFound)
		b.is(b.Update(t.Context(), func(tx store.Tx) error { return tx.UpdateOrganisation(t.Context(), o) }), account.ErrNotFound)
	})
}
