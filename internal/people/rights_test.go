package people_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/people"
)

var errDisk = errors.New("disk full")

// unrecorded is a store whose audit trail cannot be written.
type unrecorded struct{ people.Store }

func (u unrecorded) Update(ctx context.Context, change func(people.Tx) error) error {
	return u.Store.Update(ctx, func(tx people.Tx) error { return change(unrecordedTx{tx}) })
}

func (u unrecorded) UpdateAtLength(ctx context.Context, long, end func(people.Tx) error) error {
	return u.Store.UpdateAtLength(ctx, long, func(tx people.Tx) error { return end(unrecordedTx{tx}) })
}

type unrecordedTx struct{ people.Tx }

func (unrecordedTx) AppendEvent(context.Context, audit.Event) (audit.Record, error) {
	return audit.Record{}, errDisk
}

func (unrecordedTx) AppendEvents(context.Context, []audit.Event) error { return errDisk }

// matrix says for each actor on whom each kind of verb works: roles in the
// actor's own organisation, and in another after the slash.
var matrix = []struct {
	actor               string
	find, reset, manage string
}{
	{"operator", "user helpdesk admin owner auditor / user helpdesk admin owner auditor", "user helpdesk admin owner auditor / user helpdesk admin owner auditor", "user helpdesk admin owner auditor / user helpdesk admin owner auditor"},
	{"owner", "user helpdesk admin owner auditor / user helpdesk admin owner auditor", "user helpdesk admin owner auditor / user helpdesk admin owner auditor", "user helpdesk admin owner auditor / user helpdesk admin owner auditor"},
	{"admin", "user helpdesk admin owner auditor /", "user helpdesk admin /", "user helpdesk admin /"},
	{"helpdesk", "user helpdesk admin owner auditor /", "user helpdesk /", "/"},
	{"auditor", "user helpdesk admin owner auditor / user helpdesk admin owner auditor", "/", "/"},
	{"user", "/", "/", "/"},
	{"nobody", "/", "/", "/"},
	{"suspended owner", "/", "/", "/"},
}

// verbs are all that act on an existing account, by kind.
func verbs(f fixture) map[string][]func(context.Context, people.Actor, people.Who) error {
	return map[string][]func(context.Context, people.Actor, people.Who) error{
		"find": {func(ctx context.Context, a people.Actor, w people.Who) error { _, err := f.Show(ctx, a, w); return err }},
		"reset": {func(ctx context.Context, a people.Actor, w people.Who) error {
			_, _, err := f.ResetFactors(ctx, a, w, "")
			return err
		}},
		"manage": {
			func(ctx context.Context, a people.Actor, w people.Who) error {
				_, err := f.EditAccount(ctx, a, w, people.Changes{Name: ptr("X")})
				return err
			},
			func(ctx context.Context, a people.Actor, w people.Who) error {
				_, err := f.SetPassword(ctx, a, w, account.Secret("p"), "")
				return err
			},
			func(ctx context.Context, a people.Actor, w people.Who) error {
				_, err := f.Suspend(ctx, a, w, "")
				return err
			},
			func(ctx context.Context, a people.Actor, w people.Who) error {
				_, err := f.Resume(ctx, a, w, "")
				return err
			},
			func(ctx context.Context, a people.Actor, w people.Who) error {
				_, err := f.DeleteAccount(ctx, a, w, "")
				return err
			},
		},
	}
}

func TestRolesReachWhomTheyMay(t *testing.T) {
	f := newFixture(t)
	for _, row := range matrix {
		t.Run(row.actor, func(t *testing.T) {
			actor := f.actor(t, row.actor)
			for kind, allowed := range map[string]string{"find": row.find, "reset": row.reset, "manage": row.manage} {
				own, other, _ := strings.Cut(allowed, "/")
				for organisation, roles := range map[string]string{"north": own, "default": other} {
					for _, role := range account.Roles() {
						may := strings.Contains(" "+roles+" ", " "+string(role)+" ")
						f.tryVerbs(t, actor, kind, organisation, role, may)
					}
				}
			}
		})
	}
}

// tryVerbs makes an account and runs the verbs of a kind on it.
func (f fixture) tryVerbs(t *testing.T, actor people.Actor, kind, organisation string, role account.Role, may bool) {
	t.Helper()
	name := "subject-" + account.NewID()
	subject := f.add(t, people.NewAccount{Username: string(name), Organisation: organisation, Role: role})
	if kind == "reset" {
		f.called(t, actor, subject.ID)
	}
	before := f.lastEvent(t)
	for i, verb := range verbs(f)[kind] {
		err := verb(t.Context(), actor, who(string(name)))
		switch {
		case may && err != nil:
			t.Errorf("%s verb %d on %s of %s: %v", kind, i, role, organisation, err)
		case !may && !errors.Is(err, people.ErrForbidden) && !errors.Is(err, account.ErrNotFound):
			t.Errorf("%s verb %d on %s of %s: error %v, want a refusal", kind, i, role, organisation, err)
		}
	}
	if may {
		return
	}
	if kept, err := f.db.Account(t.Context(), subject.ID); err != nil || kept.Version != subject.Version || f.lastEvent(t).Account != before.Account {
		t.Errorf("%s on %s of %s was refused and changed something", kind, role, organisation)
	}
}

// actor makes the actor of a row, in organisation north.
func (f fixture) actor(t *testing.T, name string) people.Actor {
	t.Helper()
	switch name {
	case "operator":
		return people.Operator()
	case "nobody":
		return people.Actor{}
	case "suspended owner":
		a := f.add(t, people.NewAccount{Username: "actor-suspended", Organisation: "north", Role: account.RoleOwner})
		if _, err := f.Suspend(t.Context(), people.Operator(), who(a.Username), ""); err != nil {
			t.Fatal(err)
		}
		return people.As(a)
	}
	return people.As(f.add(t, people.NewAccount{Username: "actor-" + name, Organisation: "north", Role: account.Role(name)}))
}

func TestNobodyActsOnThemselves(t *testing.T) {
	f := newFixture(t)
	for _, role := range account.Roles() {
		actor := f.actor(t, string(role))
		for _, kind := range []string{"reset", "manage"} {
			for i, verb := range verbs(f)[kind] {
				if err := verb(t.Context(), actor, who("actor-"+string(role))); !errors.Is(err, people.ErrForbidden) {
					t.Errorf("%s, %s verb %d: error %v, want a refusal", role, kind, i, err)
				}
			}
		}
	}
}

func TestNobodyGivesARoleAboveTheirOwn(t *testing.T) {
	f := newFixture(t)
	gives := map[account.Role]string{
		account.RoleOwner: "user helpdesk admin owner auditor", account.RoleAdmin: "user helpdesk admin",
		account.RoleHelpdesk: "", account.RoleAuditor: "", account.RoleUser: "",
	}
	for _, role := range account.Roles() {
		actor := f.actor(t, string(role))
		for _, given := range account.Roles() {
			may := strings.Contains(" "+gives[role]+" ", " "+string(given)+" ")
			added := fmt.Sprintf("%s by %s", given, role)
			_, err := f.AddAccount(t.Context(), actor, people.NewAccount{Username: added, Organisation: "north", Role: given})
			if may != (err == nil) || !may && !errors.Is(err, people.ErrForbidden) {
				t.Errorf("%s adds %s: %v", role, given, err)
			}
			plain := f.add(t, people.NewAccount{Username: "plain " + added, Organisation: "north"})
			_, err = f.EditAccount(t.Context(), actor, who(plain.Username), people.Changes{Role: &given})
			if may != (err == nil) || !may && !errors.Is(err, people.ErrForbidden) {
				t.Errorf("%s makes a user %s: %v", role, given, err)
			}
		}
	}
}

func TestAdministratorsStayInTheirOrganisation(t *testing.T) {
	f := newFixture(t)
	admin := f.actor(t, "admin")
	if a, err := f.AddAccount(t.Context(), admin, people.NewAccount{Username: "ann"}); err != nil || a.Account.Organisation != "north" {
		t.Errorf("an administrator's account went to %q, %v", a.Account.Organisation, err)
	}
	_, err := f.AddAccount(t.Context(), admin, people.NewAccount{Username: "bob", Organisation: "default"})
	wantError(t, err, account.ErrNotFound)
	_, err = f.EditAccount(t.Context(), admin, who("ann"), people.Changes{Organisation: ptr("default")})
	wantError(t, err, account.ErrNotFound)
	_, err = f.List(t.Context(), admin, account.Filter{Organisation: "default"})
	wantError(t, err, account.ErrNotFound)
	f.add(t, people.NewAccount{Username: "zed", Organisation: "default"})
	seen, err := f.List(t.Context(), admin, account.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range seen {
		if a.Organisation != "north" {
			t.Errorf("an administrator of north sees %s of %s", a.Username, a.Organisation)
		}
	}
	organisations, err := f.Organisations(t.Context(), admin)
	if err != nil || len(organisations) != 1 || organisations[0].Name != "north" {
		t.Errorf("organisations %v, %v", organisations, err)
	}
}

func TestOrganisationsAreTheOwners(t *testing.T) {
	f := newFixture(t)
	for _, role := range account.Roles() {
		actor := f.actor(t, string(role))
		name := "made by " + string(role)
		may := role == account.RoleOwner
		errs := []error{second(f.AddOrganisation(t.Context(), actor, name, people.OrganisationRules{}, ""))}
		if !may {
			if _, err := f.AddOrganisation(t.Context(), people.Operator(), name, people.OrganisationRules{}, ""); err != nil {
				t.Fatal(err)
			}
		}
		errs = append(errs, second(f.EditOrganisation(t.Context(), actor, name, people.OrganisationRules{Require: ptr("mfa")}, "")), f.DeleteOrganisation(t.Context(), actor, name, ""))
		for i, err := range errs {
			if may != (err == nil) || !may && !errors.Is(err, people.ErrForbidden) {
				t.Errorf("%s, organisation verb %d: %v", role, i, err)
			}
		}
	}
}

func TestARoleTakenAwayHoldsAtOnce(t *testing.T) {
	f := newFixture(t)
	admin := f.actor(t, "admin")
	f.add(t, people.NewAccount{Username: "joe", Organisation: "north"})
	if _, err := f.EditAccount(t.Context(), people.Operator(), who("actor-admin"), people.Changes{Role: ptr(account.RoleUser)}); err != nil {
		t.Fatal(err)
	}
	_, err := f.Suspend(t.Context(), admin, who("joe"), "")
	wantError(t, err, people.ErrForbidden)
}
