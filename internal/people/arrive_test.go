package people_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/internal/signin"
)

// ofDirectory is somebody as a directory describes them.
func ofDirectory(subject, username string, groups ...string) signin.Identity {
	return signin.Identity{
		Source: "ldap", Subject: subject, Username: username, Name: "Jo Bloggs", Email: "jo@example.test", Groups: groups, GroupsKnown: true, MayCreate: true,
	}
}

func newDirectory(t *testing.T) fixture {
	f := newFixture(t)
	f.Sources = []people.Source{{Name: "local"}, {Name: "ldap"}, {Name: "legacy_form", SubjectIsName: true}}
	return f
}

func TestArriveMakesTheAccountOnceAndRefreshesIt(t *testing.T) {
	f := newDirectory(t)
	first, err := f.Arrive(t.Context(), ofDirectory("1", "jo", "staff", "a,b"))
	if err != nil || first.Name != "Jo Bloggs" || !slices.Equal(first.Groups, []string{"staff"}) {
		t.Fatalf("%+v, %v", first, err)
	}
	again, err := f.Arrive(t.Context(), ofDirectory("1", "jo", "staff"))
	if err != nil || again.Version != first.Version {
		t.Errorf("nothing is different, yet it is written: version %d, then %d; %v", first.Version, again.Version, err)
	}
	married := ofDirectory("1", "jo.smith", "staff", "admins")
	married.Name, married.Email = "Jo Smith", "smith@example.test"
	now, err := f.Arrive(t.Context(), married)
	if err != nil || now.ID != first.ID || now.Name != "Jo Smith" || !slices.Equal(now.Groups, []string{"staff", "admins"}) {
		t.Errorf("%+v, %v", now, err)
	}
	if now.Username != "jo" || now.Email != "jo@example.test" {
		t.Errorf("what only prefills was changed: %+v", now)
	}
	if e := f.lastEvent(t); e.Name != audit.PermissionsChanged || e.Actor != "gateway" {
		t.Errorf("event %+v", e)
	}
	gone, err := f.Arrive(t.Context(), ofDirectory("1", "jo"))
	if err != nil || len(gone.Groups) != 0 {
		t.Errorf("groups that the directory took away stay: %q, %v", gone.Groups, err)
	}
	if kept, _ := f.db.Account(t.Context(), first.ID); len(kept.Groups) != 0 {
		t.Errorf("the store has %q", kept.Groups)
	}
}

func TestArriveOfASourceThatKnowsNoGroupsLeavesThem(t *testing.T) {
	f := newDirectory(t)
	f.add(t, people.NewAccount{Username: "jo", Source: "legacy_form", Groups: []string{"staff"}, Name: "Jo"})
	for _, subject := range []string{"", "jo"} {
		got, err := f.Arrive(t.Context(), signin.Identity{Source: "legacy_form", Subject: subject, Username: "Jo"})
		if err != nil || !slices.Equal(got.Groups, []string{"staff"}) || got.Name != "Jo" {
			t.Errorf("subject %q: %+v, %v", subject, got, err)
		}
	}
}

func TestArriveRefuses(t *testing.T) {
	f := newDirectory(t)
	local := f.add(t, people.NewAccount{Username: "ann", Source: "local"})
	if got, err := f.Arrive(t.Context(), signin.Identity{Source: "local", Subject: string(local.ID), Name: "Other"}); err != nil || got.Name != "" {
		t.Errorf("a local account: %+v, %v", got, err)
	}
	f.Arrive(t.Context(), ofDirectory("1", "jo"))
	for name, who := range map[string]signin.Identity{
		"a name of somebody else's":   ofDirectory("2", "JO"),
		"a name that is none":         ofDirectory("3", "\u200b"),
		"who may not be made":         {Source: "ldap", Subject: "4", Username: "x"},
		"who has no identifier":       {Source: "ldap", Username: "x", MayCreate: true},
		"a local account that is not": {Source: "local", Subject: "5", Username: "x", MayCreate: true},
	} {
		if got, err := f.Arrive(t.Context(), who); !errors.Is(err, account.ErrNotFound) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestArriveChangesNothingOfASuspendedAccount(t *testing.T) {
	f := newDirectory(t)
	jo, err := f.Arrive(t.Context(), ofDirectory("1", "jo", "staff"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Suspend(t.Context(), people.Operator(), people.Who{ID: jo.ID}, ""); err != nil {
		t.Fatal(err)
	}
	got, err := f.Arrive(t.Context(), ofDirectory("1", "jo", "admins"))
	if err != nil || !got.Suspended() || !slices.Equal(got.Groups, []string{"staff"}) {
		t.Errorf("%+v, %v", got, err)
	}
}
