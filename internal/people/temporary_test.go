package people_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/people"
)

// plainCodes makes codes that say whose they are.
type plainCodes struct{}

func (plainCodes) New(owner account.ID, now time.Time, lifetime time.Duration) (account.Credential, string, error) {
	return account.Credential{
		ID: account.NewCredentialID(), Account: owner, Factor: "temporary_code", Label: "Temporary code",
		Secret: account.Secret(now.Add(lifetime).Format(time.RFC3339)), CreatedAt: now,
	}, "code of " + string(owner), nil
}

func TestATemporaryCodeReplacesTheOneBefore(t *testing.T) {
	f := newFixture(t)
	f.Temporary = plainCodes{}
	joe := f.add(t, people.NewAccount{Username: "joe"})
	f.open(t, joe.ID, "totp")
	for _, lifetime := range []time.Duration{0, 2 * time.Hour, people.MaxTemporaryLife} {
		got, err := f.IssueTemporaryCode(t.Context(), people.Operator(), people.Who{Username: "joe"}, lifetime, "lost the phone")
		if err != nil {
			t.Fatal(err)
		}
		if lifetime == 0 {
			lifetime = people.DefaultTemporaryLife
		}
		if string(got.Code.Reveal()) != "code of "+string(joe.ID) || !got.ExpiresAt.Equal(noon.Add(lifetime)) {
			t.Errorf("issued %s until %s", got.Code.Reveal(), got.ExpiresAt)
		}
	}
	held, err := f.db.Credentials(t.Context(), joe.ID)
	if err != nil || len(held) != 2 {
		t.Errorf("%d credentials, %v", len(held), err)
	}
	events, err := f.db.Events(t.Context(), audit.Query{Account: string(joe.ID)})
	if err != nil {
		t.Fatal(err)
	}
	newest := events[len(events)-1].Event
	if newest.Name == audit.UserCreated {
		newest = events[0].Event
	}
	if newest.Name != audit.TokenCreated || newest.Factor != "temporary_code" || newest.Actor != "command" {
		t.Errorf("event %+v", newest)
	}
	said := map[string]string{}
	for _, d := range newest.Detail {
		said[d.Key] = d.Value
	}
	if said["reason"] != "lost the phone" || said["lifetime"] == "" {
		t.Errorf("the event says %v", said)
	}
}

func TestATemporaryCodeIsRefusedWhereItCannotBeRight(t *testing.T) {
	f := newFixture(t)
	f.Temporary = plainCodes{}
	joe := f.add(t, people.NewAccount{Username: "joe"})
	issue := func(actor people.Actor, name string, lifetime time.Duration, want error) {
		t.Helper()
		if _, err := f.IssueTemporaryCode(t.Context(), actor, people.Who{Username: name}, lifetime, ""); !errors.Is(err, want) {
			t.Errorf("%s for %s: %v, want %v", name, lifetime, err, want)
		}
	}
	issue(people.Operator(), "joe", -time.Hour, people.ErrInvalid)
	issue(people.Operator(), "joe", time.Second, people.ErrInvalid)
	issue(people.Operator(), "joe", 25*time.Hour, people.ErrInvalid)
	issue(people.Operator(), "nobody", 0, account.ErrNotFound)
	helpdesk := people.As(f.add(t, people.NewAccount{Username: "help", Role: account.RoleHelpdesk}))
	issue(helpdesk, "joe", 0, people.ErrUnchecked)
	f.called(t, helpdesk, joe.ID)
	issue(helpdesk, "joe", 0, nil)
	issue(helpdesk, "help", 0, people.ErrForbidden)
	f.add(t, people.NewAccount{Username: "boss", Role: account.RoleOwner})
	issue(helpdesk, "boss", 0, people.ErrForbidden)
	issue(people.As(f.add(t, people.NewAccount{Username: "audit", Role: account.RoleAuditor})), "joe", 0, people.ErrForbidden)
	issue(people.As(account.Account{Role: account.RoleUser}), "joe", 0, people.ErrForbidden)
	if _, err := f.Suspend(t.Context(), people.Operator(), people.Who{Username: "joe"}, ""); err != nil {
		t.Fatal(err)
	}
	issue(people.Operator(), "joe", 0, people.ErrRefused)
}
