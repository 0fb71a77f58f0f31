package operation

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stepgate/stepgate/factors/delivery"
	"github.com/stepgate/stepgate/factors/temporarycode"
	"github.com/stepgate/stepgate/factors/token"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/keys"
	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/internal/store/sqldb"
)

// This file holds every operation to the rights of whoever asks: actor's role
// × operation × own or other organisation × role of whom it is done to. The
// same table is held at the pages, in package admin.

const allRoles = "user helpdesk admin owner auditor"

// reach says on whom an actor's operations work: roles in the actor's own
// organisation, and in another after the slash.
var reach = map[string]struct{ find, reset, manage string }{
	"operator": {allRoles + "/" + allRoles, allRoles + "/" + allRoles, allRoles + "/" + allRoles},
	"owner":    {allRoles + "/" + allRoles, allRoles + "/" + allRoles, allRoles + "/" + allRoles},
	"admin":    {allRoles + "/", "user helpdesk admin/", "user helpdesk admin/"},
	"helpdesk": {allRoles + "/", "user helpdesk/", "/"},
	"auditor":  {allRoles + "/" + allRoles, "/", "/"},
	"user":     {"/", "/", "/"},
}

// onSomebody are the operations that are done to an account, with their kind
// in reach and what they ask with.
var onSomebody = map[string]struct {
	kind  string
	input func(k rightsRig, subject account.Account) any
}{
	UserShow.Name:      {"find", func(_ rightsRig, a account.Account) any { return who(a) }},
	UserTokenList.Name: {"find", func(_ rightsRig, a account.Account) any { return who(a) }},
	UserRisk.Name: {"find", func(_ rightsRig, a account.Account) any {
		return RiskInput{Who: who(a), Address: netip.MustParseAddr("192.0.2.1")}
	}},
	UserResetFactors.Name:  {"reset", func(_ rightsRig, a account.Account) any { return UserInput{Who: who(a)} }},
	UserTemporaryCode.Name: {"reset", func(_ rightsRig, a account.Account) any { return UserTemporaryInput{UserInput: UserInput{Who: who(a)}} }},
	UserEdit.Name: {"manage", func(_ rightsRig, a account.Account) any {
		name := "Another Name"
		return UserEditInput{Who: who(a), Changes: people.Changes{Name: &name}}
	}},
	UserSetPassword.Name: {"manage", func(_ rightsRig, a account.Account) any {
		return UserPasswordInput{UserInput: UserInput{Who: who(a)}, Password: []byte("correct horse battery")}
	}},
	UserInvite.Name:  {"manage", func(_ rightsRig, a account.Account) any { return UserInput{Who: who(a)} }},
	UserSuspend.Name: {"manage", func(_ rightsRig, a account.Account) any { return UserInput{Who: who(a)} }},
	UserResume.Name: {"manage", func(k rightsRig, a account.Account) any {
		k.must(k.People.Suspend(k.t.Context(), people.Operator(), who(a), ""))
		return UserInput{Who: who(a)}
	}},
	UserDelete.Name: {"manage", func(_ rightsRig, a account.Account) any { return UserInput{Who: who(a)} }},
	UserTokenAdd.Name: {"manage", func(_ rightsRig, a account.Account) any {
		return UserTokenInput{UserInput: UserInput{Who: who(a)}, Token: people.NewToken{Label: "Backup", Bounds: account.TokenBounds{Paths: []string{"/dav/*"}}}}
	}},
	UserTokenRevoke.Name: {"manage", func(k rightsRig, a account.Account) any {
		made, err := k.People.AddToken(k.t.Context(), people.Operator(), who(a), people.NewToken{Label: "Backup", Bounds: account.TokenBounds{Paths: []string{"/dav/*"}}}, "")
		if err != nil {
			k.t.Fatal(err)
		}
		return UserTokenRevokeInput{UserInput: UserInput{Who: who(a)}, ID: made.Credential.ID}
	}},
}

// forWhom are the operations that are about no account, with who may.
var forWhom = map[string]struct {
	actors string
	input  any
}{
	UserList.Name:           {"operator owner admin helpdesk auditor", UserListInput{}},
	OrganisationList.Name:   {"operator owner admin helpdesk auditor", struct{}{}},
	UserAdd.Name:            {"operator owner admin", UserAddInput{NewAccount: people.NewAccount{Username: "ann"}}},
	UserImport.Name:         {"operator owner admin", UserImportInput{CSV: []byte("username\nben\n")}},
	LegacyConfirm.Name:      {"operator owner", NameInput{Name: "joe"}},
	OrganisationAdd.Name:    {"operator owner", OrganisationInput{Name: "west"}},
	OrganisationEdit.Name:   {"operator owner", OrganisationInput{Name: "south", OrganisationRules: people.OrganisationRules{Require: new(string)}}},
	OrganisationDelete.Name: {"operator owner", OrganisationInput{Name: "empty"}},
	AuditList.Name:          {"operator owner auditor", AuditQuery{}},
	AuditShow.Name:          {"operator owner auditor", rightsReference},
	AuditExport.Name:        {"operator owner auditor", AuditExportInput{First: true}},
	AuditVerify.Name:        {"operator owner auditor", AuditVerifyInput{}},
	AuditCheckpoint.Name:    {"operator owner auditor", AuditVerifyInput{}},
	AuditPrune.Name:         {"operator", AuditPruneInput{Before: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)}},
	KeysList.Name:           {"operator", struct{}{}},
	KeysRotate.Name:         {"operator", KeysRotateInput{}},
	KeysRetire.Name:         {"operator", KeysRetireInput{}},
	StoreRestored.Name:      {"operator", RestoredInput{}},
}

const rightsReference = "ABCD-EFGH-JKMN"

func who(a account.Account) people.Who { return people.Who{ID: a.ID} }

// rightsRig is a place over a new store, with all that operations may need.
type rightsRig struct {
	Place
	t *testing.T
}

// anyPassword takes every password.
type anyPassword struct{}

func (anyPassword) Check(account.Secret, account.Account) error { return nil }
func (anyPassword) Hash(_ context.Context, p account.Secret) (string, error) {
	return "hash of " + string(p.Reveal()), nil
}

// rightsKeys is a ring that can be rotated and is not.
type rightsKeys struct{}

func (rightsKeys) List() []keys.Info                        { return nil }
func (rightsKeys) Prepare(context.Context, time.Time) error { return nil }
func (rightsKeys) Rotate(context.Context, time.Time) error  { return nil }
func (rightsKeys) Browsers() time.Duration                  { return time.Hour }
func (rightsKeys) Drop(context.Context, []string) error     { return nil }

func (rightsKeys) Retire(context.Context, []string, time.Time, time.Time, audit.Event) error {
	return nil
}

func newRightsRig(t *testing.T) rightsRig {
	t.Helper()
	p, _ := trailPlace(t, 0)
	p.People.Region, p.People.Passwords, p.People.Tokens = "GB", anyPassword{}, token.Factor{}
	p.People.Sources = []people.Source{{Name: account.LocalSource}, {Name: "portal", SubjectIsName: true}}
	db := p.Store.(*sqldb.DB)
	p.People.Temporary = &temporarycode.Factor{Store: db, Keys: p.Ring}
	p.People.Callers = &people.Callers{MAC: p.Ring.LastingMAC}
	p.People.Links = &people.Links{
		Origin: "https://portal.example.gov", Address: func(purpose, token string) string { return purpose + "/" + token },
		Letter: func(string, account.Account, string) delivery.Message { return delivery.Message{} }, Mail: func() bool { return false }, Wake: func() {},
	}
	p.Keys = rightsKeys{}
	p.Risk = func(context.Context, account.ID, netip.Addr, bool) RiskView { return RiskView{} }
	k := rightsRig{p, t}
	for _, name := range []string{"north", "south", "empty"} {
		if _, err := p.People.AddOrganisation(t.Context(), people.Operator(), name, people.OrganisationRules{}, ""); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := db.AppendEvent(t.Context(), audit.Event{At: time.Now(), Name: audit.AccessDenied, Reference: audit.FoldReference(rightsReference)}); err != nil {
		t.Fatal(err)
	}
	return k
}

func (k rightsRig) must(_ account.Account, err error) {
	k.t.Helper()
	if err != nil {
		k.t.Fatal(err)
	}
}

func (k rightsRig) account(role account.Role, organisation string) account.Account {
	k.t.Helper()
	made, err := k.People.AddAccount(k.t.Context(), people.Operator(), people.NewAccount{
		Username: "u-" + string(account.NewID()), Role: role, Organisation: organisation, Source: account.LocalSource,
	})
	if err != nil {
		k.t.Fatal(err)
	}
	return made.Account
}

// actor is one of a row of the table, of the organisation north.
func (k rightsRig) actor(name string) (people.Actor, account.Account) {
	if name == "operator" {
		return people.Operator(), account.Account{}
	}
	a := k.account(account.Role(name), "north")
	return people.As(a), a
}

// last is the newest event of the trail.
func (k rightsRig) last() int64 {
	k.t.Helper()
	newest, err := k.Store.Events(k.t.Context(), audit.Query{Limit: 1})
	if err != nil || len(newest) == 0 {
		k.t.Fatal("no event", err)
	}
	return newest[0].Seq
}

// perform does an operation as somebody. What is refused leaves no trace.
func (k rightsRig) perform(actor people.Actor, name string, input any) error {
	k.t.Helper()
	raw, err := json.Marshal(input)
	if err != nil {
		k.t.Fatal(err)
	}
	p, before := k.Place, k.last()
	p.Actor = actor
	_, err = Perform(k.t.Context(), p, name, raw)
	if err != nil && k.last() != before {
		k.t.Errorf("%s was refused and is in the trail", name)
	}
	return err
}

// refusal tells whether an error is a no that lies with who asks.
func refusal(err error) bool {
	no := (*Answer)(nil)
	return errors.As(err, &no) && no.Kind == No && (strings.Contains(no.Text, "may ") || strings.Contains(no.Text, "there is no ") ||
		strings.Contains(no.Text, "above yours") || strings.Contains(no.Text, "nobody acts on their own") || strings.Contains(no.Text, "ask an owner"))
}

func TestEveryCellOfTheRightsHoldsAtTheOperations(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(reach)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newRightsRig(t)
			actor, self := k.actor(name)
			for organisation, at := range map[string]int{"north": 0, "south": 1} {
				for _, role := range account.Roles() {
					for what, op := range onSomebody {
						roles := map[string]string{"find": reach[name].find, "reset": reach[name].reset, "manage": reach[name].manage}[op.kind]
						may := slices.Contains(strings.Fields(strings.Split(roles, "/")[at]), string(role))
						subject := k.account(role, organisation)
						if op.kind == "reset" && name == "helpdesk" {
							code, _ := k.People.CallerCode(subject.ID)
							_ = k.People.CheckCaller(t.Context(), actor, who(subject), code, "T-1")
						}
						err := k.perform(actor, what, op.input(k, subject))
						if may && err != nil || !may && !refusal(err) {
							t.Errorf("%s on %s of %s: %v, allowed is %v", what, role, organisation, err, may)
						}
					}
				}
			}
			if self.ID == "" {
				return
			}
			for what, op := range onSomebody {
				if op.kind == "find" || what == UserResume.Name || what == UserTokenRevoke.Name {
					continue
				}
				if err := k.perform(actor, what, op.input(k, self)); !refusal(err) {
					t.Errorf("%s on themselves: %v", what, err)
				}
			}
		})
	}
}

func TestWhatIsAboutNobodyIsForSomeRolesAlone(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(reach)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newRightsRig(t)
			actor, _ := k.actor(name)
			for what, op := range forWhom {
				may := slices.Contains(strings.Fields(op.actors), name)
				if err := k.perform(actor, what, op.input); may && err != nil || !may && !refusal(err) {
					t.Errorf("%s: %v, allowed is %v", what, err, may)
				}
			}
		})
	}
}

func TestRolesAreGivenByWhoHasThem(t *testing.T) {
	gives := map[string]string{"operator": allRoles + "/" + allRoles, "owner": allRoles + "/" + allRoles, "admin": "user helpdesk admin/"}
	for _, name := range slices.Sorted(maps.Keys(reach)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newRightsRig(t)
			actor, _ := k.actor(name)
			own, other, _ := strings.Cut(gives[name], "/")
			for organisation, roles := range map[string]string{"north": own, "south": other} {
				for _, role := range account.Roles() {
					may := slices.Contains(strings.Fields(roles), string(role))
					added := UserAddInput{NewAccount: people.NewAccount{Username: "n-" + string(account.NewID()), Role: role, Organisation: organisation, Source: account.LocalSource}}
					made := UserEditInput{Who: who(k.account(account.RoleUser, organisation)), Changes: people.Changes{Role: &role}}
					row := UserImportInput{CSV: []byte("username,role,organisation,source\n" + string(account.NewID()) + "," + string(role) + "," + organisation + ",local\n")}
					for what, input := range map[string]any{UserAdd.Name: added, UserEdit.Name: made, UserImport.Name: row} {
						if err := k.perform(actor, what, input); may && err != nil || !may && !refusal(err) {
							t.Errorf("%s gives the role %s in %s: %v, allowed is %v", what, role, organisation, err, may)
						}
					}
				}
			}
		})
	}
}

func TestEveryOperationIsInTheTableOfRights(t *testing.T) {
	for name := range operations {
		_, personal := onSomebody[name]
		_, general := forWhom[name]
		if personal == general {
			t.Errorf("who may do %s is said in none or in both of the tables", name)
		}
	}
}
