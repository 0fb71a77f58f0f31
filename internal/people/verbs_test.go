package people_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stepgate/stepgate/factors/delivery"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/people"
)

func TestAddAccountKeepsWhatWasSaidInOneForm(t *testing.T) {
	f := newFixture(t)
	added, err := f.AddAccount(t.Context(), people.Operator(), people.NewAccount{
		Username: " Joe ", Email: "joe@example.gov", Mobile: "07700 900123", Name: "Joe Soap",
		Groups: []string{"staff", "", "staff", " admins "}, Organisation: "north", Role: "Helpdesk",
		Password: account.Secret("correct horse"), Reason: "ticket 7",
	})
	if err != nil {
		t.Fatal(err)
	}
	id := added.Account.ID
	want := account.Account{
		ID: id, Source: "local", Subject: string(id), Username: "Joe", Email: "joe@example.gov", Mobile: "+447700900123",
		Name: "Joe Soap", Groups: []string{"staff", "admins"}, Organisation: "north", Role: account.RoleHelpdesk, CreatedAt: noon,
	}
	kept, err := f.db.AccountByUsername(t.Context(), "local", "joe")
	if err != nil {
		t.Fatal(err)
	}
	want.Version = kept.Version
	if diff := cmp.Diff(want, kept); diff != "" {
		t.Errorf("account (-want +got):\n%s", diff)
	}
	if hash, _ := f.db.PasswordHash(t.Context(), id); hash != "hash of correct horse" || !added.HasPassword {
		t.Errorf("password hash %q, HasPassword %v", hash, added.HasPassword)
	}
	wantEvent := audit.Event{
		At: noon, Name: audit.UserCreated, Account: string(id), Actor: "command", Organisation: "north", Outcome: "success",
		Detail: []audit.Field{{Key: "role", Value: "helpdesk"}, {Key: "source", Value: "local"}, {Key: "reason", Value: "ticket 7"}},
	}
	if diff := cmp.Diff(wantEvent, f.lastEvent(t)); diff != "" {
		t.Errorf("event (-want +got):\n%s", diff)
	}
}

func TestAddAccountRefusesWhatCannotBeRight(t *testing.T) {
	f := newFixture(t)
	f.add(t, people.NewAccount{Username: "joe"})
	for name, c := range map[string]struct {
		n        people.NewAccount
		sentinel error
		word     string
	}{
		"empty username":          {people.NewAccount{}, people.ErrInvalid, "username"},
		"invisible username":      {people.NewAccount{Username: "a\u200bb"}, people.ErrInvalid, "invisible"},
		"username of two lines":   {people.NewAccount{Username: "a\nb"}, people.ErrInvalid, `"a\nb"`},
		"address with a name":     {people.NewAccount{Username: "a", Email: "Joe <joe@example.gov>"}, people.ErrInvalid, "e-mail"},
		"address with a line end": {people.NewAccount{Username: "a", Email: "joe@example.gov\r\nBcc: b@example.gov"}, people.ErrInvalid, "e-mail"},
		"number of letters":       {people.NewAccount{Username: "a", Mobile: "0800 FLOWERS"}, people.ErrInvalid, "phone"},
		"number too short":        {people.NewAccount{Username: "a", Mobile: "112"}, people.ErrInvalid, "phone"},
		"number with extension":   {people.NewAccount{Username: "a", Mobile: "+447700900123 ext 4"}, people.ErrInvalid, "phone"},
		"group with a comma":      {people.NewAccount{Username: "a", Groups: []string{"a,b"}}, people.ErrInvalid, "group"},
		"unknown role":            {people.NewAccount{Username: "a", Role: "ownr"}, people.ErrInvalid, `did you mean "owner"?`},
		"unknown organisation":    {people.NewAccount{Username: "a", Organisation: "nroth"}, account.ErrNotFound, `did you mean "north"?`},
		"name taken":              {people.NewAccount{Username: " JOE"}, account.ErrTaken, `"joe"`},
		"weak password":           {people.NewAccount{Username: "a", Password: account.Secret("weak")}, people.ErrRefused, "it is weak"},
		"unknown source":          {people.NewAccount{Username: "a", Source: "ldap"}, people.ErrInvalid, "local"},
		"subject of its own":      {people.NewAccount{Username: "a", Subject: "x"}, people.ErrInvalid, "subject"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := f.AddAccount(t.Context(), people.Operator(), c.n)
			wantError(t, err, c.sentinel, c.word)
		})
	}
	all, err := f.db.Accounts(t.Context(), account.Filter{})
	if err != nil || len(all) != 1 {
		t.Errorf("%d accounts, error %v; want 1", len(all), err)
	}
}

func TestAddAccountWithoutRegionWantsInternationalNumbers(t *testing.T) {
	f := newFixture(t)
	f.Region = ""
	_, err := f.AddAccount(t.Context(), people.Operator(), people.NewAccount{Username: "a", Mobile: "07700900123"})
	wantError(t, err, people.ErrInvalid, "region")
	if a := f.add(t, people.NewAccount{Username: "a", Mobile: "+49 1511 2345678"}); a.Mobile != "+4915112345678" {
		t.Errorf("mobile %q", a.Mobile)
	}
}

func TestAddAccountChoosesTheSource(t *testing.T) {
	form, directory := people.Source{Name: "legacy_form", SubjectIsName: true}, people.Source{Name: "ldap"}
	for name, c := range map[string]struct {
		sources []people.Source
		n       people.NewAccount
		want    [2]string // source, subject; empty for an error
	}{
		"the only one":               {[]people.Source{form}, people.NewAccount{Username: "Joe"}, [2]string{"legacy_form", "joe"}},
		"none of several":            {[]people.Source{form, directory}, people.NewAccount{Username: "Joe"}, [2]string{}},
		"a directory's needs an ID":  {[]people.Source{form, directory}, people.NewAccount{Username: "Joe", Source: "ldap"}, [2]string{}},
		"with one":                   {[]people.Source{form, directory}, people.NewAccount{Username: "Joe", Source: "ldap", Subject: "u-1"}, [2]string{"ldap", "u-1"}},
		"no password for the others": {[]people.Source{form}, people.NewAccount{Username: "Joe", Password: account.Secret("p")}, [2]string{}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.Sources = c.sources
			added, err := f.AddAccount(t.Context(), people.Operator(), c.n)
			if c.want[0] == "" {
				wantError(t, err, people.ErrInvalid)
				return
			}
			if got := [2]string{added.Account.Source, added.Account.Subject}; err != nil || got != c.want {
				t.Errorf("got %v, error %v; want %v", got, err, c.want)
			}
		})
	}
}

func TestEditAccountChangesOnlyWhatIsNamed(t *testing.T) {
	f := newFixture(t)
	before := f.add(t, people.NewAccount{Username: "joe", Email: "joe@example.gov", Mobile: "+447700900123", Groups: []string{"staff"}})
	s := f.open(t, before.ID, "totp")
	_, err := f.EditAccount(t.Context(), people.Operator(), who("JOE"), people.Changes{
		Email: ptr(""), Role: ptr(account.RoleAdmin), Groups: ptr([]string{"a", "b"}), Organisation: ptr("north"),
	})
	if err != nil {
		t.Fatal(err)
	}
	want := before
	want.Email, want.Role, want.Groups, want.Organisation = "", account.RoleAdmin, []string{"a", "b"}, "north"
	after, err := f.db.Account(t.Context(), before.ID)
	if err != nil {
		t.Fatal(err)
	}
	if after.Version <= before.Version {
		t.Errorf("version %d did not move from %d", after.Version, before.Version)
	}
	want.Version = after.Version
	if diff := cmp.Diff(want, after); diff != "" {
		t.Errorf("account (-want +got):\n%s", diff)
	}
	if _, _, err := f.db.SessionByHash(t.Context(), s.Hash, noon); err != nil {
		t.Errorf("the session ended: %v", err)
	}
	event := f.lastEvent(t)
	wantDetail := []audit.Field{
		{Key: "email", Value: "changed"}, {Key: "role", Value: "user -> admin"},
		{Key: "organisation", Value: "default -> north"}, {Key: "groups", Value: "staff -> a,b"},
	}
	if diff := cmp.Diff(wantDetail, event.Detail); diff != "" || event.Name != audit.PermissionsChanged {
		t.Errorf("event %s, detail (-want +got):\n%s", event.Name, diff)
	}
}

func TestEditAccountRefusesANameInUse(t *testing.T) {
	f := newFixture(t)
	f.add(t, people.NewAccount{Username: "joe"})
	f.add(t, people.NewAccount{Username: "ann"})
	_, err := f.EditAccount(t.Context(), people.Operator(), who("ann"), people.Changes{Username: ptr("Joe")})
	wantError(t, err, account.ErrTaken, `"joe"`)
	if _, err := f.EditAccount(t.Context(), people.Operator(), who("ann"), people.Changes{Username: ptr("Ann")}); err != nil {
		t.Errorf("a person may write their name differently: %v", err)
	}
	_, err = f.EditAccount(t.Context(), people.Operator(), who("ann"), people.Changes{})
	wantError(t, err, people.ErrInvalid, "nothing")
}

func TestSuspendEndsWhatIsOpenAndResumeBringsNothingBack(t *testing.T) {
	f := newFixture(t)
	joe := f.add(t, people.NewAccount{Username: "joe"})
	s := f.open(t, joe.ID, "totp", "temporary_code", "device_pin")
	if _, err := f.Suspend(t.Context(), people.Operator(), who("joe"), "left"); err != nil {
		t.Fatal(err)
	}
	f.wantOver(t, s, "totp")
	if err := f.db.InsertSession(t.Context(), s); !errors.Is(err, account.ErrNotFound) {
		t.Errorf("a suspended account got a session: %v", err)
	}
	if e := f.lastEvent(t); e.Name != audit.UserSuspended || e.Account != string(joe.ID) {
		t.Errorf("event %+v", e)
	}
	if _, err := f.Suspend(t.Context(), people.Operator(), who("joe"), ""); err != nil {
		t.Errorf("suspending twice: %v", err)
	}
	resumed, err := f.Resume(t.Context(), people.Operator(), who("joe"), "")
	if err != nil || resumed.Suspended() {
		t.Fatalf("resume: %+v, %v", resumed, err)
	}
	f.wantOver(t, s, "totp")
	_, err = f.Resume(t.Context(), people.Operator(), who("joe"), "")
	wantError(t, err, people.ErrRefused, "not suspended")
}

func TestResetFactorsRemovesAllAndEndsWhatIsOpen(t *testing.T) {
	f := newFixture(t)
	joe := f.add(t, people.NewAccount{Username: "joe", Password: account.Secret("p")})
	s := f.open(t, joe.ID, "totp", "sms", "sms")
	_, removed, err := f.ResetFactors(t.Context(), people.Operator(), who("joe"), "lost phone")
	if err != nil || removed != 3 {
		t.Fatalf("removed %d, %v", removed, err)
	}
	f.wantOver(t, s)
	if hash, _ := f.db.PasswordHash(t.Context(), joe.ID); hash == "" {
		t.Error("the password is gone as well")
	}
	if e := f.lastEvent(t); e.Name != audit.FactorReset || e.Detail[len(e.Detail)-1].Value != "lost phone" {
		t.Errorf("event %+v", e)
	}
}

func TestSetPasswordEndsWhatIsOpen(t *testing.T) {
	f := newFixture(t)
	joe := f.add(t, people.NewAccount{Username: "joe"})
	s := f.open(t, joe.ID, "totp", "device_pin")
	_, err := f.SetPassword(t.Context(), people.Operator(), who("joe"), account.Secret("weak"), "")
	wantError(t, err, people.ErrRefused, "weak")
	if _, _, err := f.db.SessionByHash(t.Context(), s.Hash, noon); err != nil {
		t.Fatalf("a refused password ended the session: %v", err)
	}
	if _, err := f.SetPassword(t.Context(), people.Operator(), who("joe"), account.Secret("new"), ""); err != nil {
		t.Fatal(err)
	}
	f.wantOver(t, s, "totp")
	if hash, _ := f.db.PasswordHash(t.Context(), joe.ID); hash != "hash of new" {
		t.Errorf("hash %q", hash)
	}
}

func TestSetPasswordIsForLocalAccounts(t *testing.T) {
	f := newFixture(t)
	f.Sources = []people.Source{{Name: "legacy_form", SubjectIsName: true}}
	f.add(t, people.NewAccount{Username: "joe"})
	_, err := f.SetPassword(t.Context(), people.Operator(), who("joe"), account.Secret("new"), "")
	wantError(t, err, people.ErrRefused, "legacy_form")
}

func TestDeleteAccountFreesTheName(t *testing.T) {
	f := newFixture(t)
	joe := f.add(t, people.NewAccount{Username: "joe"})
	s := f.open(t, joe.ID, "totp")
	if _, err := f.DeleteAccount(t.Context(), people.Operator(), who("joe"), ""); err != nil {
		t.Fatal(err)
	}
	f.wantOver(t, s)
	if again := f.add(t, people.NewAccount{Username: "joe"}); again.ID == joe.ID {
		t.Error("the ID was used again")
	}
}

func TestAVerbThatCannotBeRecordedChangesNothing(t *testing.T) {
	f := newFixture(t)
	f.add(t, people.NewAccount{Username: "joe"})
	f.Store = unrecorded{f.Store}
	if _, err := f.Suspend(t.Context(), people.Operator(), who("joe"), ""); !errors.Is(err, errDisk) {
		t.Fatalf("error %v", err)
	}
	if a, _ := f.db.AccountByUsername(t.Context(), "local", "joe"); a.Suspended() {
		t.Error("suspended without an event")
	}
}

func TestFindAsksWhichOfSeveralSources(t *testing.T) {
	f := newFixture(t)
	f.Sources = []people.Source{{Name: "local"}, {Name: "legacy_form", SubjectIsName: true}}
	local := f.add(t, people.NewAccount{Username: "joe"})
	other := f.add(t, people.NewAccount{Username: "joe", Source: "legacy_form"})
	f.add(t, people.NewAccount{Username: "joel"})
	_, err := f.Show(t.Context(), people.Operator(), who("joe"))
	wantError(t, err, people.ErrRefused, "--source", "legacy_form")
	for source, want := range map[string]account.ID{"local": local.ID, "legacy_form": other.ID} {
		got, err := f.Show(t.Context(), people.Operator(), people.Who{Username: "Joe", Source: source})
		if err != nil || got.Account.ID != want {
			t.Errorf("source %s: %v, %v", source, got.Account.ID, err)
		}
	}
	_, err = f.Show(t.Context(), people.Operator(), who("jole"))
	wantError(t, err, account.ErrNotFound, "did you mean")
	_, err = f.Show(t.Context(), people.Operator(), who(" "))
	wantError(t, err, account.ErrNotFound)
}

func TestTwoSourcesOfOneSiteShareNoUsername(t *testing.T) {
	f := newFixture(t)
	f.Sources = []people.Source{
		{Name: account.LocalSource, Beside: []string{"app"}}, {Name: "app", SubjectIsName: true, Beside: []string{account.LocalSource}},
		{Name: "elsewhere", SubjectIsName: true},
	}
	f.add(t, people.NewAccount{Username: "joe", Source: "app"})
	jim := f.add(t, people.NewAccount{Username: "jim", Source: account.LocalSource})
	add := func(source string) error {
		_, err := f.AddAccount(t.Context(), people.Operator(), people.NewAccount{Username: "Ｊoe", Source: source})
		return err
	}
	if err := add(account.LocalSource); !errors.Is(err, account.ErrTaken) || !strings.Contains(err.Error(), `"app"`) {
		t.Errorf("added: %v", err)
	}
	if err := add("elsewhere"); err != nil {
		t.Errorf("a source of another site: %v", err)
	}
	joe := "JOE"
	if _, err := f.EditAccount(t.Context(), people.Operator(), people.Who{ID: jim.ID}, people.Changes{Username: &joe}); !errors.Is(err, account.ErrTaken) {
		t.Errorf("renamed: %v", err)
	}
	name := "Jim Bloggs"
	if _, err := f.EditAccount(t.Context(), people.Operator(), people.Who{ID: jim.ID}, people.Changes{Name: &name}); err != nil {
		t.Errorf("another change: %v", err)
	}
}

// TestAChosenPasswordIsKeptWithEverythingOrNotAtAll breaks the last write of a
// registration: the link still works and nothing else has changed.
func TestAChosenPasswordIsKeptWithEverythingOrNotAtAll(t *testing.T) {
	f := newFixture(t)
	f.Links = &people.Links{
		Origin: "https://portal.example.gov", Address: func(purpose, token string) string { return purpose + " " + token },
		Letter: func(string, account.Account, string) delivery.Message { return delivery.Message{} },
		Mail:   func() bool { return false }, Wake: func() {},
	}
	joe, jim := f.add(t, people.NewAccount{Username: "joe"}), f.add(t, people.NewAccount{Username: "jim"})
	f.open(t, jim.ID, "totp")
	taken, err := f.db.Credentials(t.Context(), jim.ID)
	if err != nil {
		t.Fatal(err)
	}
	made, err := f.Invite(t.Context(), people.Operator(), who("joe"), "")
	if err != nil || made.Sent {
		t.Fatalf("%+v, %v", made, err)
	}
	purpose, token, _ := strings.Cut(string(made.Link.Reveal()), " ")
	link := ceremony.LinkID(purpose, token)
	choose := func(phone account.Credential) error {
		phone.Account, phone.Factor, phone.Label = joe.ID, "sms", "Phone"
		return f.Choose(t.Context(), f.Links, people.Chosen{
			Link: link, Owner: joe.ID, Purpose: purpose, Password: account.Secret("kettle lantern 91"), Phone: &phone,
			Origin: people.Origin{Address: "192.0.2.7"},
		})
	}
	if err := choose(account.Credential{ID: taken[0].ID}); !errors.Is(err, account.ErrTaken) {
		t.Fatalf("with a credential that cannot be kept: %v", err)
	}
	if hash, err := f.db.PasswordHash(t.Context(), joe.ID); err != nil || hash != "" {
		t.Errorf("a password was kept: %v", err)
	}
	if _, err := f.db.Transaction(t.Context(), link, noon); err != nil {
		t.Errorf("the link is gone: %v", err)
	}
	if err := choose(account.Credential{ID: account.NewCredentialID()}); err != nil {
		t.Fatal(err)
	}
	events, err := f.db.Events(t.Context(), audit.Query{Account: string(joe.ID), Limit: 2})
	if err != nil || events[0].Name != audit.PasswordChange || events[0].Address != "192.0.2.7" || events[1].Name != audit.FactorEnrolled || events[1].Address != "192.0.2.7" {
		t.Errorf("the trail says %+v, %v", events, err)
	}
	if err := choose(account.Credential{ID: account.NewCredentialID()}); !errors.Is(err, ceremony.ErrTransactionGone) {
		t.Errorf("the second time: %v", err)
	}
	if _, err := f.Invite(t.Context(), people.Operator(), who("joe"), ""); err == nil {
		t.Error("somebody with a password was invited")
	}
}
