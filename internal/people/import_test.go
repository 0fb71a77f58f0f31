package people_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/people"
)

func table(lines ...string) people.Table {
	return people.Table{CSV: []byte(strings.Join(lines, "\n") + "\n")}
}

func TestImportMakesTheAccountsOfATable(t *testing.T) {
	f := newFixture(t)
	n, err := f.Import(t.Context(), people.Operator(), table(
		"\ufeffName,Username,Mobile,Groups,Organisation,Role,Email",
		`"Soap, Joe",joe,07700 900123,staff; admins ;,north,admin,joe@example.gov`,
		"",
		"Ann,ann,,,,,",
	))
	if err != nil || n.Accounts != 2 {
		t.Fatalf("imported %d, %v", n.Accounts, err)
	}
	joe, err := f.db.AccountByUsername(t.Context(), "local", "joe")
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(joe.Name, joe.Mobile, joe.Groups, joe.Organisation, joe.Role, joe.Email)
	if want := fmt.Sprint("Soap, Joe", "+447700900123", []string{"staff", "admins"}, "north", account.RoleAdmin, "joe@example.gov"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if ann, err := f.db.AccountByUsername(t.Context(), "local", "ann"); err != nil || ann.Organisation != "default" || ann.Role != account.RoleUser {
		t.Errorf("ann %+v, %v", ann, err)
	}
}

func TestImportWarnsOfNumbersThatNoTextReaches(t *testing.T) {
	f := newFixture(t)
	f.Region, f.TextCountries = "GB", []string{"GB"}
	given := table("username,mobile", "joe,07700 900123", "ann,07797 712345", "eve,020 7946 0018")
	given.DryRun = true
	made, err := f.Import(t.Context(), people.Operator(), given)
	if err != nil || len(made.Warnings) != 2 || !strings.Contains(made.Warnings[0].String(), "line 3: ") || !strings.Contains(made.Warnings[0].String(), "a number of JE") {
		t.Errorf("%+v, %v", made, err)
	}
	if _, err := f.Import(t.Context(), people.Operator(), table("username,mobile", "joe,86444", "ann,07700 90012")); err == nil || strings.Count(err.Error(), "cannot be a mobile phone number") != 2 {
		t.Errorf("impossible numbers: %v", err)
	}
}

func TestImportReportsEveryWrongLineAndImportsNone(t *testing.T) {
	f := newFixture(t)
	f.add(t, people.NewAccount{Username: "taken"})
	_, err := f.Import(t.Context(), people.Operator(), table(
		"username,email,role,organisation",
		"good,,,",
		"taken,,,",
		"bad,nonsense,,",
		"\"two\nlines\",,,",
		"boss,,king,",
		"lost,,,nroth",
		"GOOD,,,",
		"short,",
		"long,,,,,",
		`quo"te,,,`,
		`"quo"te,,,`,
		"after,nonsense too,,",
		`"never closed,,,`,
		"swallowed,,,",
	))
	wantError(t, err, people.ErrRefused,
		"line 3: source", "line 4: \"nonsense\"", "line 5: username", "line 7: there is no role", "line 8: there is no organisation", "line 9: the username is on line 2",
		"line 10: the row has more or fewer fields", "line 11: the row has more or fewer fields", "line 12: the row cannot be read", "line 13: the row cannot be read",
		"line 14: \"nonsense too\"", "line 15: the row cannot be read")
	if strings.Contains(err.Error(), "line 2:") {
		t.Errorf("a good line is reported: %v", err)
	}
	if _, err := f.db.AccountByUsername(t.Context(), "local", "good"); err == nil {
		t.Error("a line of a refused table was imported")
	}
}

func TestImportRefusesATableItCannotRead(t *testing.T) {
	f := newFixture(t)
	for name, c := range map[string]struct {
		lines []string
		words []string
	}{
		"empty":            {nil, []string{"empty"}},
		"no username":      {[]string{"email", "a@example.gov"}, []string{"line 1", "username"}},
		"misspelt column":  {[]string{"username,e-mail", "a,b"}, []string{"line 1", `did you mean "email"?`}},
		"semicolons":       {[]string{"username;email", "a;b"}, []string{"commas"}},
		"twice":            {[]string{"username,username", "a,b"}, []string{"twice"}},
		"too few fields":   {[]string{"username,email", "a,b@example.gov", "c"}, []string{"line 3", "fields"}},
		"a stray quote":    {[]string{"username,email", `a"b,c`}, []string{"line 2", "quote"}},
		"Latin-1":          {[]string{"username,name", "ann,Ann", "bj\xf6rn,Bj\xf6rn"}, []string{"line 3", "UTF-8"}},
		"UTF-16":           {[]string{"\xff\xfeu\x00s\x00"}, []string{"line 1", "UTF-8"}},
		"no password ever": {[]string{"username,password", "a,b"}, []string{"password"}},
	} {
		t.Run(name, func(t *testing.T) {
			given := table(c.lines...)
			if c.lines == nil {
				given = people.Table{}
			}
			_, err := f.Import(t.Context(), people.Operator(), given)
			wantError(t, err, people.ErrRefused, c.words...)
		})
	}
}

func TestImportDryRunKeepsNothing(t *testing.T) {
	f := newFixture(t)
	dry := table("username", "joe")
	dry.DryRun = true
	if n, err := f.Import(t.Context(), people.Operator(), dry); err != nil || n.Accounts != 1 {
		t.Fatalf("%d, %v", n.Accounts, err)
	}
	if _, err := f.db.AccountByUsername(t.Context(), "local", "joe"); err == nil {
		t.Error("a dry run made an account")
	}
}

func TestImportInBatchesRecordsEveryAccount(t *testing.T) {
	f := newFixture(t)
	lines := []string{"username"}
	for i := range 501 {
		lines = append(lines, fmt.Sprintf("person%03d", i))
	}
	if n, err := f.Import(t.Context(), people.Operator(), table(lines...)); err != nil || n.Accounts != 501 {
		t.Fatalf("%d, %v", n.Accounts, err)
	}
	if e := f.lastEvent(t); e.Account == "" {
		t.Errorf("event %+v", e)
	}
	all, err := f.List(t.Context(), people.Operator(), account.Filter{Limit: 1000})
	if err != nil || len(all) != 501 {
		t.Errorf("%d accounts, %v", len(all), err)
	}
}

func TestImportKeepsAdministratorsInTheirOrganisation(t *testing.T) {
	f := newFixture(t)
	admin := f.actor(t, "admin")
	_, err := f.Import(t.Context(), admin, table("username,organisation,role", "a,default,", "b,,owner"))
	wantError(t, err, people.ErrRefused, "line 2: there is no organisation", "line 3: role")
	helpdesk := f.actor(t, "helpdesk")
	_, err = f.Import(t.Context(), helpdesk, table("username", "a"))
	wantError(t, err, people.ErrForbidden)
}

func FuzzImportNeverBreaks(fz *testing.F) {
	fz.Add([]byte("username,email\njoe,joe@example.gov\n"))
	fz.Add([]byte("\ufeffusername;mobile\r\n\"a\"\"b\",+44\r\n"))
	fz.Fuzz(func(t *testing.T, raw []byte) {
		f := people.People{Store: emptyStore{}, Now: noonNow}
		n, err := f.Import(t.Context(), people.Operator(), people.Table{CSV: raw, DryRun: true})
		if err != nil && n.Accounts != 0 {
			t.Errorf("%d accounts and an error: %v", n.Accounts, err)
		}
	})
}

// sudden is a store in which somebody does something while an import makes its
// accounts.
type sudden struct {
	people.Store
	do func()
}

func (s sudden) UpdateAtLength(ctx context.Context, long, end func(people.Tx) error) error {
	s.do()
	return s.Store.UpdateAtLength(ctx, long, end)
}

func TestImportIsRefusedWholeForWhatHappensMeanwhile(t *testing.T) {
	f := newFixture(t)
	given := table("username,source,subject", "good,,", "joe,directory,1")
	f.Sources = []people.Source{{Name: "local", Beside: []string{"directory"}}, {Name: "directory", Beside: []string{"local"}}}
	owner := f.actor(t, "owner")
	for name, c := range map[string]struct {
		meanwhile func(*people.People) error
		kind      error
		words     []string
	}{
		"the name is given away": {func(p *people.People) error {
			_, err := p.AddAccount(t.Context(), people.Operator(), people.NewAccount{Username: "Joe", Source: "directory", Subject: "2"})
			return err
		}, account.ErrTaken, []string{"line 3", "account \"Joe\" already"}},
		"the identifier is given away": {func(p *people.People) error {
			_, err := p.AddAccount(t.Context(), people.Operator(), people.NewAccount{Username: "eve", Source: "directory", Subject: "1"})
			return err
		}, account.ErrTaken, []string{"line 3", "subject \"1\""}},
		"another source has the name": {func(p *people.People) error {
			_, err := p.AddAccount(t.Context(), people.Operator(), people.NewAccount{Username: "joe", Source: "local"})
			return err
		}, account.ErrTaken, []string{"line 3", "both sources"}},
		"the actor is suspended": {func(p *people.People) error {
			_, err := p.Suspend(t.Context(), people.Operator(), people.Who{Username: "actor-owner"}, "")
			return err
		}, people.ErrForbidden, nil},
		"the trail cannot be written": {nil, errDisk, nil},
	} {
		t.Run(name, func(t *testing.T) {
			p := *f.People
			if p.Store = (sudden{f.Store, func() {
				if err := c.meanwhile(f.People); err != nil {
					t.Error(err)
				}
			}}); c.meanwhile == nil {
				p.Store = unrecorded{f.Store}
			}
			_, err := p.Import(t.Context(), owner, given)
			wantError(t, err, c.kind, c.words...)
			if _, err := f.db.AccountByUsername(t.Context(), "local", "good"); err == nil {
				t.Error("a line of a refused table was imported")
			}
			for _, gone := range []people.Who{{Username: "joe"}, {Username: "eve"}} {
				f.DeleteAccount(t.Context(), people.Operator(), gone, "")
			}
			f.Resume(t.Context(), people.Operator(), people.Who{Username: "actor-owner"}, "")
		})
	}
	if n, err := f.Import(t.Context(), owner, given); err != nil || n.Accounts != 2 {
		t.Errorf("%d, %v", n.Accounts, err)
	}
}
