package people_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stepgate/stepgate/factors/delivery"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/internal/session"
)

// plainTokens makes tokens that are none.
type plainTokens struct{}

func (plainTokens) New(owner account.ID, label string, _ account.TokenBounds, now time.Time) (account.Credential, account.Secret, error) {
	id := account.NewCredentialID()
	return account.Credential{ID: id, Account: owner, Factor: "token", Label: label, Handle: string(id), CreatedAt: now}, account.Secret("secret"), nil
}

// unneeded lets every credential go.
func unneeded(account.Account, []account.Credential, []account.Credential) []string { return nil }

// ownVerbs are what people do to their own accounts: to a credential, a token
// and a session, as far as a verb is about one.
func ownVerbs(s *people.Self) map[string]func(context.Context, people.Own, account.CredentialID, account.CredentialID, session.ID) error {
	return map[string]func(context.Context, people.Own, account.CredentialID, account.CredentialID, session.ID) error{
		"rename": func(ctx context.Context, o people.Own, c, _ account.CredentialID, _ session.ID) error {
			return s.Rename(ctx, o, c, "Blue phone")
		},
		"default": func(ctx context.Context, o people.Own, c, _ account.CredentialID, _ session.ID) error {
			return s.MakeDefault(ctx, o, c)
		},
		"remove": func(ctx context.Context, o people.Own, c, _ account.CredentialID, _ session.ID) error {
			return s.Remove(ctx, o, c, unneeded)
		},
		"end session": func(ctx context.Context, o people.Own, _, _ account.CredentialID, id session.ID) error {
			return s.EndSession(ctx, o, id)
		},
		"revoke token": func(ctx context.Context, o people.Own, _, t account.CredentialID, _ session.ID) error {
			return s.RevokeToken(ctx, o, t)
		},
		"end others": func(ctx context.Context, o people.Own, _, _ account.CredentialID, _ session.ID) error {
			return s.EndOthers(ctx, o)
		},
		"disown": func(ctx context.Context, o people.Own, _, _ account.CredentialID, _ session.ID) error {
			return s.Disown(ctx, o, 1)
		},
		"two-factor": func(ctx context.Context, o people.Own, _, _ account.CredentialID, _ session.ID) error {
			return s.SetTwoFactor(ctx, o, true)
		},
		"password": func(ctx context.Context, o people.Own, _, _ account.CredentialID, _ session.ID) error {
			return s.SetPassword(ctx, o, account.Secret("another"))
		},
		"email": func(ctx context.Context, o people.Own, _, _ account.CredentialID, _ session.ID) error {
			return s.SetEmail(ctx, o, "new@example.test")
		},
		"mobile": func(ctx context.Context, o people.Own, _, _ account.CredentialID, _ session.ID) error {
			return s.SetMobile(ctx, o, "+447700900001")
		},
		"add token": func(ctx context.Context, o people.Own, _, _ account.CredentialID, _ session.ID) error {
			_, err := s.AddToken(ctx, o, people.NewToken{Label: "Script", Bounds: account.TokenBounds{Paths: []string{"/x"}}})
			return err
		},
	}
}

// aboutSomething are the verbs that are about one credential, token or session.
const aboutSomething = "rename default remove end session revoke token"

// TestPeopleActOnTheirOwnAccountsAlone is the table of rights: every verb, by
// somebody of every role, on what is their own and on what is another's; by
// somebody suspended, deleted, or nobody; and with a trail that cannot be
// written.
func TestPeopleActOnTheirOwnAccountsAlone(t *testing.T) {
	f := newFixture(t)
	f.Tokens = plainTokens{}
	self := &people.Self{People: f.People, Notices: &people.Notices{Name: "Portal", Offers: func(string) bool { return true }}}
	for _, role := range account.Roles() {
		for name, verb := range ownVerbs(self) {
			theirs, token, open := f.holder(t, "other")
			own, ownToken, ownOpen := f.holderAs(t, role)
			o := people.Own{Account: own.Account, Session: ownOpen.ID, Site: "https://portal.example.gov", From: people.Whence{Address: "192.0.2.7"}}
			f.posted(t)
			before := f.everything(t, theirs.Account)
			if strings.Contains(aboutSomething, name) {
				if err := verb(t.Context(), o, theirs.ID, token, open.ID); !errors.Is(err, account.ErrNotFound) && !errors.Is(err, session.ErrNotFound) {
					t.Errorf("%s, %s of another's: %v", role, name, err)
				}
			}
			unwritten := &people.Self{People: &people.People{Store: unrecorded{f.Store}, Passwords: plainPasswords{}, Tokens: plainTokens{}, Now: f.Now}, Notices: self.Notices}
			was := f.everything(t, own.Account)
			if err := ownVerbs(unwritten)[name](t.Context(), o, own.ID, ownToken, ownOpen.ID); err == nil || f.everything(t, own.Account) != was || len(f.posted(t)) > 0 {
				t.Errorf("%s, %s: done without its event: %v", role, name, err)
			}
			if err := verb(t.Context(), o, own.ID, ownToken, ownOpen.ID); err != nil {
				t.Errorf("%s, %s: %v", role, name, err)
			}
			if e := f.lastEvent(t); e.Account != string(own.Account) || e.Actor != e.Account || e.Address != "192.0.2.7" || e.Outcome != "success" {
				t.Errorf("%s, %s leaves the event %+v", role, name, e)
			}
			if told := f.posted(t); (len(told) == 0) != (name == "end session" || name == "end others") {
				t.Errorf("%s, %s is told as %q", role, name, told)
			} else if slices.Sort(told); len(slices.Compact(slices.Clone(told))) != len(told) {
				t.Errorf("%s, %s is told twice: %q", role, name, told)
			}
			if f.everything(t, theirs.Account) != before {
				t.Errorf("%s, %s has changed another's account", role, name)
			}
			f.refusesOutOfUse(t, name, verb, o, own.ID, ownToken, ownOpen.ID)
		}
	}
}

// refusesOutOfUse does a verb as somebody suspended, and as nobody.
func (f fixture) refusesOutOfUse(t *testing.T, name string, verb func(context.Context, people.Own, account.CredentialID, account.CredentialID, session.ID) error, o people.Own, c, token account.CredentialID, open session.ID) {
	t.Helper()
	if _, err := f.Suspend(t.Context(), people.Operator(), people.Who{ID: o.Account}, ""); err != nil {
		t.Fatal(err)
	}
	for who, own := range map[string]people.Own{"suspended": o, "nobody": {}, "deleted": {Account: "gone"}} {
		if err := verb(t.Context(), own, c, token, open); !errors.Is(err, people.ErrForbidden) {
			t.Errorf("%s as %s: %v", name, who, err)
		}
	}
}

// holder makes somebody with a credential, a token and a session.
func (f fixture) holder(t *testing.T, name string) (account.Credential, account.CredentialID, session.Session) {
	t.Helper()
	id := string(account.NewID())
	a := f.add(t, people.NewAccount{Username: name + id, Email: strings.ToLower(id) + "@example.test"})
	return f.holds(t, a)
}

func (f fixture) holderAs(t *testing.T, role account.Role) (account.Credential, account.CredentialID, session.Session) {
	t.Helper()
	id := string(account.NewID())
	return f.holds(t, f.add(t, people.NewAccount{Username: string(role) + id, Email: strings.ToLower(id) + "@example.test", Role: role}))
}

func (f fixture) holds(t *testing.T, a account.Account) (held account.Credential, token account.CredentialID, open session.Session) {
	t.Helper()
	open = f.open(t, a.ID, "totp", "token")
	all, err := f.db.Credentials(t.Context(), a.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		if c.Factor == "token" {
			token = c.ID
		} else {
			held = c
		}
	}
	return held, token, open
}

// everything is what verbs can change about an account, as one text.
func (f fixture) everything(t *testing.T, id account.ID) string {
	t.Helper()
	a, err := f.db.Account(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	all, err := f.db.SessionsOf(t.Context(), id, noon)
	if err != nil {
		t.Fatal(err)
	}
	hash, _ := f.db.PasswordHash(t.Context(), id)
	var text strings.Builder
	text.WriteString(a.Email + a.Mobile + hash + strings.Repeat("v", int(a.Version)))
	for _, s := range all {
		text.WriteString(" " + string(s.ID))
	}
	held, _ := f.db.Credentials(t.Context(), id)
	for _, c := range held {
		text.WriteString(" " + string(c.ID) + c.Label)
	}
	return text.String()
}

func TestTheLastThatIsNeededStays(t *testing.T) {
	f := newFixture(t)
	self := &people.Self{People: f.People}
	c, _, open := f.holder(t, "jo")
	o := people.Own{Account: c.Account, Session: open.ID}
	var left int
	err := self.Remove(t.Context(), o, c.ID, func(_ account.Account, held, rest []account.Credential) []string {
		left = len(held) - len(rest)
		return []string{"mfa"}
	})
	if !errors.Is(err, people.ErrNeeded) || left != 1 || f.lastEvent(t).Name == audit.FactorRemoved {
		t.Errorf("%v, %d fewer", err, left)
	}
}

func TestAnAccountHasSoManyTokens(t *testing.T) {
	f := newFixture(t)
	f.Tokens = plainTokens{}
	a := f.add(t, people.NewAccount{Username: "robot"})
	n := people.NewToken{Label: "Script", Bounds: account.TokenBounds{Paths: []string{"/x"}}}
	for range people.MaxTokens {
		if _, err := f.AddToken(t.Context(), people.Operator(), people.Who{ID: a.ID}, n, ""); err != nil {
			t.Fatal(err)
		}
	}
	_, err := f.AddToken(t.Context(), people.Operator(), people.Who{ID: a.ID}, n, "")
	wantError(t, err, people.ErrRefused, "at most")
	n.Bounds.EndsAt = noon.Add(people.MaxTokenLife + 1)
	_, err = f.AddToken(t.Context(), people.Operator(), people.Who{ID: a.ID}, n, "")
	wantError(t, err, people.ErrInvalid, "a year")
	for _, role := range []account.Role{account.RoleUser, account.RoleHelpdesk, account.RoleAuditor} {
		actor := people.As(f.add(t, people.NewAccount{Username: string(role), Role: role}))
		if _, err := f.AddToken(t.Context(), actor, people.Who{ID: a.ID}, n, ""); !errors.Is(err, people.ErrForbidden) {
			t.Errorf("%s: %v", role, err)
		}
		if _, err := f.RevokeToken(t.Context(), actor, people.Who{ID: a.ID}, "x", ""); !errors.Is(err, people.ErrForbidden) {
			t.Errorf("%s: %v", role, err)
		}
	}
	_, err = f.RevokeToken(t.Context(), people.Operator(), people.Who{ID: a.ID}, "x", "")
	wantError(t, err, account.ErrNotFound, "no token")
}

// links are those of a site whose mail goes out.
func (f fixture) links() *people.Links {
	return &people.Links{
		Origin: "https://portal.example.gov", Address: func(purpose, token string) string { return purpose + " " + token },
		Letter: func(string, account.Account, string) delivery.Message { return delivery.Message{Subject: "link"} },
		Mail:   func() bool { return true }, Wake: func() {},
	}
}

// TestALinkIsOfferedByAddressToo asks with the address on the account, in
// another letter case.
func TestALinkIsOfferedByAddressToo(t *testing.T) {
	f := newFixture(t)
	links := f.links()
	f.add(t, people.NewAccount{Username: "joe", Email: "Joe.Bloggs@example.test", Password: account.Secret("p")})
	f.add(t, people.NewAccount{Username: "second", Email: "joe.bloggs@example.test", Password: account.Secret("p")})
	f.add(t, people.NewAccount{Username: "jim", Email: "jim@example.test", Password: account.Secret("p")})
	from := people.Origin{Site: "https://portal.example.gov", Address: "192.0.2.7", UserAgent: "Firefox"}
	for typed, want := range map[string]int{
		"joe.bloggs@EXAMPLE.test": 2, "joe": 1, "JIM": 1, "jim@example.tes": 0, "nobody@example.test": 0, "nobody": 0, "@": 0, "": 0, "bloggs@example.test": 0,
	} {
		f.posted(t)
		if err := f.OfferReset(t.Context(), links, typed, from); err != nil {
			t.Errorf("%q: %v", typed, err)
		}
		if got := f.posted(t); len(got) != want {
			t.Errorf("%q brings %q", typed, got)
		}
		if e := f.lastEvent(t); want > 0 && (e.Site != from.Site || e.Address != from.Address || e.UserAgent != from.UserAgent) {
			t.Errorf("%q: the trail does not say where it was asked from: %+v", typed, e)
		}
	}
}
