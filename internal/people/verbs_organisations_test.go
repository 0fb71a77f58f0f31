package people_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/internal/session"
)

func TestOrganisations(t *testing.T) {
	f := newFixture(t)
	ctx, operator := t.Context(), people.Operator()
	if _, err := f.AddOrganisation(ctx, operator, "South East", people.OrganisationRules{Require: ptr("mfa")}, ""); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"same":  second(f.AddOrganisation(ctx, operator, "north", people.OrganisationRules{}, "")),
		"case":  second(f.AddOrganisation(ctx, operator, "NORTH", people.OrganisationRules{}, "")),
		"space": second(f.AddOrganisation(ctx, operator, " north ", people.OrganisationRules{}, "")),
	} {
		t.Run(name, func(t *testing.T) { wantError(t, err, account.ErrTaken, `"north"`) })
	}
	wantError(t, second(f.AddOrganisation(ctx, operator, "a\tb", people.OrganisationRules{}, "")), people.ErrInvalid)
	wantError(t, second(f.EditOrganisation(ctx, operator, "north", people.OrganisationRules{Require: ptr("fresh_key")}, "")), people.ErrInvalid, "fresh_key", "phishing_resistant")
	wantError(t, second(f.EditOrganisation(ctx, operator, "north", people.OrganisationRules{Require: ptr("public")}, "")), people.ErrInvalid)
	wantError(t, second(f.EditOrganisation(ctx, operator, "nort", people.OrganisationRules{Require: ptr("mfa")}, "")), account.ErrNotFound, `did you mean "north"?`)

	f.add(t, people.NewAccount{Username: "joe", Organisation: "north"})
	_, head, _ := f.db.Changes(ctx, -1)
	if _, err := f.EditOrganisation(ctx, operator, "north", people.OrganisationRules{Require: ptr("phishing_resistant")}, ""); err != nil {
		t.Fatal(err)
	}
	if e := f.lastEvent(t); e.Name != audit.OrganisationUpdated || e.Organisation != "north" || e.Detail[0].Value != "phishing_resistant" {
		t.Errorf("event %+v", e)
	}
	if changes, _, err := f.db.Changes(ctx, head); err != nil || len(changes) != 1 || changes[0].Kind != session.OrganisationChanged || changes[0].Key != "north" {
		t.Errorf("who remembers accounts of the organisation hears of %v, %v", changes, err)
	}
	wantError(t, f.DeleteOrganisation(ctx, operator, "north", ""), account.ErrInUse, "accounts")
	wantError(t, f.DeleteOrganisation(ctx, operator, "default", ""), people.ErrRefused, "stays")
	if err := f.DeleteOrganisation(ctx, operator, "South East", ""); err != nil {
		t.Fatal(err)
	}
	all, err := f.Organisations(ctx, operator)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, o := range all {
		names = append(names, o.Name+" "+o.Require)
	}
	if diff := cmp.Diff([]string{"default ", "north phishing_resistant"}, names); diff != "" {
		t.Errorf("organisations (-want +got):\n%s", diff)
	}
}

func second(_ account.Organisation, err error) error { return err }
