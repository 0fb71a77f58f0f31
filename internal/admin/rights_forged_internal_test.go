package admin

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stepgate/stepgate/factors/token"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/policy"
)

func TestNoFormCanBeForged(t *testing.T) {
	k := newRig(t)
	k.Key, k.People.Tokens = rigKey{}, token.Factor{}
	b, _ := k.administrator(account.RoleAdmin, "north")
	owner, _ := k.administrator(account.RoleOwner, "north")
	other, _ := k.administrator(account.RoleAdmin, "south")
	joe, _ := k.cell("", cellPage{}, account.RoleUser, "north")
	foreign := other.open(home).form(t, "accounts.csv").fields.Get("csrf_token")
	forged := 0
	forge := func(b *browser, page string) {
		t.Helper()
		for _, posted := range b.open(page).wants(t, http.StatusOK).forms {
			if posted.method == "post" && !strings.HasSuffix(posted.action, "/sign-out") {
				b.forge(posted, foreign)
				forged++
			}
		}
	}
	for name, page := range cellPages() {
		subject, path := k.cell(name, page, account.RoleUser, "north")
		before := k.newest(subject.ID)
		forge(b, personPath(subject.ID)+"/"+path)
		if k.newest(subject.ID) != before {
			t.Errorf("a forged form of %s did something", name)
		}
	}
	k.holds(joe.ID, "sms")
	for _, page := range []string{home, home + "new", home + "import", home + "bulk?action=suspend&id=" + string(joe.ID), personPath(joe.ID) + "/caller"} {
		forge(b, page)
	}
	k.People.TwoPerson = true
	other.send(other.open(personPath(k.person(people.NewAccount{Username: "far", Organisation: "south"}).ID)+"/reset-factors").form(t, "reset-factors"), nil)
	for _, page := range []string{home + "organisations", home + "organisation?name=south", home + "approvals"} {
		forge(owner, page)
	}
	if forged < len(cellPages())+8 {
		t.Errorf("only %d forms were forged", forged)
	}
	if n := len(k.events(audit.UserSuspended)); n != 1 { // the one that can be resumed
		t.Errorf("%d were suspended", n)
	}
}

func TestAFormOfOneAccountDoesNothingToAnother(t *testing.T) {
	k := newRig(t)
	k.Key, k.People.Tokens = rigKey{}, token.Factor{}
	k.door.open = false
	b, _ := k.administrator(account.RoleAdmin, "north")
	for name, page := range cellPages() {
		mine, path := k.cell(name, page, account.RoleUser, "north")
		far, farPath := k.cell(name, page, account.RoleUser, "south")
		near, nearPath := k.cell(name, page, account.RoleUser, "north")
		once := "admin " + path
		if name, id, found := strings.Cut(path, credentialQuery("")); found {
			once = "admin " + name + " " + string(mine.ID) + " " + id
		} else {
			once += " " + string(mine.ID)
		}
		k.door.proved[once] = true
		f := b.open(personPath(mine.ID)+"/"+path).wants(t, http.StatusOK).form(t, "/"+path)
		typed := map[string]string{"action": name}
		for field, value := range page.typed {
			typed[field] = value
		}
		// Of another organisation: it is not there, whatever was proved.
		before := k.newest(far.ID)
		f.action = personPath(far.ID) + "/" + farPath
		b.send(f, typed).wants(t, http.StatusNotFound)
		if k.newest(far.ID) != before {
			t.Errorf("%s was done to an account of another organisation", name)
		}
		// Of one's own: what was proved was proved for the other account.
		before = k.newest(near.ID)
		f.action = personPath(near.ID) + "/" + nearPath
		if s := b.send(f, typed); k.door.proved[once] && acts[name].fresh && (!strings.HasPrefix(s.to, "/prove") || k.newest(near.ID) != before) {
			t.Errorf("%s: a proof for one account did something to another: %d to %q", name, s.status, s.to)
		}
		// One account's credential named at another's page.
		if page.of != "" {
			f.action = personPath(near.ID) + "/" + path
			b.send(f, typed).wants(t, http.StatusNotFound)
		}
		delete(k.door.proved, once)
	}
	far, _ := k.cell("", cellPage{}, account.RoleUser, "south")
	near, _ := k.cell("", cellPage{}, account.RoleUser, "north")
	f := b.open(home+"bulk?action=suspend&id="+string(near.ID)).form(t, "suspend")
	f.fields["id"] = []string{string(far.ID)}
	b.send(f, map[string]string{"action": "suspend"}).wants(t, http.StatusNotFound)
	// A user's token for their own pages is none for these.
	user := k.browser(near, policy.Password, policy.TOTP)
	user.open(home).wants(t, http.StatusForbidden)
}

func TestADemotedAdministratorsFormDoesNothing(t *testing.T) {
	for name, page := range cellPages() {
		k := newRig(t)
		k.Key, k.People.Tokens = rigKey{}, token.Factor{}
		b, boss := k.administrator(account.RoleAdmin, "north")
		subject, path := k.cell(name, page, account.RoleUser, "north")
		f := b.open(personPath(subject.ID)+"/"+path).form(t, "/"+path)
		user := account.RoleUser
		if _, err := k.People.EditAccount(t.Context(), people.Operator(), people.Who{ID: boss.ID}, people.Changes{Role: &user}); err != nil {
			t.Fatal(err)
		}
		before := k.newest(subject.ID)
		typed := map[string]string{"action": name}
		for field, value := range page.typed {
			typed[field] = value
		}
		if s := b.send(f, typed); s.status != http.StatusForbidden || k.newest(subject.ID) != before {
			t.Errorf("%s of somebody demoted: status %d", name, s.status)
		}
	}
}
