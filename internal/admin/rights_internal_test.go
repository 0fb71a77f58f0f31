package admin

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/factors/token"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/policy"
)

// reach says for each role on whom its pages act: roles in its own
// organisation, and in another after the slash. Finding is seeing the page.
var reach = map[account.Role]struct{ find, reset, manage string }{
	account.RoleOwner:    {"user helpdesk admin owner auditor / user helpdesk admin owner auditor", "user helpdesk admin owner auditor / user helpdesk admin owner auditor", "user helpdesk admin owner auditor / user helpdesk admin owner auditor"},
	account.RoleAdmin:    {"user helpdesk admin owner auditor /", "user helpdesk admin /", "user helpdesk admin /"},
	account.RoleHelpdesk: {"user helpdesk admin owner auditor /", "user helpdesk /", "/"},
	account.RoleAuditor:  {"user helpdesk admin owner auditor / user helpdesk admin owner auditor", "/", "/"},
	account.RoleUser:     {"/", "/", "/"},
}

// cellPages are the pages of an account that do something to it, with their
// kind in reach, what their forms are filled in with, and how the account has
// to be for it.
func cellPages() map[string]cellPage {
	all := map[string]cellPage{
		"edit":  {kind: people.ActManage, typed: map[string]string{"first": "Another"}},
		"token": {kind: people.ActManage, typed: map[string]string{"label": "Backup", "paths": "/dav/*"}},
		"key":   {kind: people.ActManage, typed: map[string]string{"credential": "an answer"}},
	}
	for name, a := range acts {
		all[name] = cellPage{kind: a.action, of: a.of}
	}
	return all
}

type cellPage struct {
	kind  people.Action
	of    policy.Factor
	typed map[string]string
}

// rigKey is a security key that answers everything.
type rigKey struct{ factors.Enroller }

func (rigKey) BeginEnrolment(context.Context, factors.Scope, []account.Credential, factors.State, factors.Answer) (factors.Prompt, factors.State, error) {
	return factors.Prompt{Options: []byte("{}")}, factors.State("begun"), nil
}

func (rigKey) ConfirmEnrolment(context.Context, factors.Scope, []account.Credential, factors.State, factors.Answer) (account.Credential, error) {
	return account.Credential{Label: "Key", Handle: "key " + string(account.NewID())}, nil
}

// cell makes an account to which a page can do what it does, and gives the
// address of the page.
func (k *rig) cell(name string, page cellPage, role account.Role, organisation string) (account.Account, string) {
	k.t.Helper()
	subject, path := k.person(people.NewAccount{Username: "s-" + string(account.NewID())[:12], Role: role, Organisation: organisation}), name
	switch name {
	case "resume":
		if _, err := k.People.Suspend(k.t.Context(), people.Operator(), people.Who{ID: subject.ID}, ""); err != nil {
			k.t.Fatal(err)
		}
	case "revoke-token":
		made, err := k.People.AddToken(k.t.Context(), people.Operator(), people.Who{ID: subject.ID}, people.NewToken{Label: "T", Bounds: account.TokenBounds{Paths: []string{"/x"}}}, "")
		if err != nil {
			k.t.Fatal(err)
		}
		path += credentialQuery(made.Credential.ID)
	case "revoke-device", "revoke-phone":
		k.holds(subject.ID, map[string]string{"revoke-device": "device_pin", "revoke-phone": "approval"}[name])
		held, err := k.db.Credentials(k.t.Context(), subject.ID)
		if err != nil || len(held) != 1 {
			k.t.Fatal(held, err)
		}
		path += credentialQuery(held[0].ID)
	}
	return subject, path
}

func TestEveryCellOfTheRightsHoldsAtThePages(t *testing.T) {
	for role, row := range reach {
		t.Run(string(role), func(t *testing.T) {
			t.Parallel()
			k := newRig(t)
			k.Key, k.People.Tokens = rigKey{}, token.Factor{}
			b, self := k.administrator(role, "north")
			for organisation, at := range map[string]int{"north": 0, "south": 1} {
				for _, other := range account.Roles() {
					may := func(kind people.Action) bool {
						cells := map[people.Action]string{people.ActFind: row.find, people.ActManage: row.manage, people.ActResetFactors: row.reset, people.ActTemporaryCode: row.reset}[kind]
						return slices.Contains(strings.Fields(strings.Split(cells, "/")[at]), string(other))
					}
					seen, _ := k.cell("", cellPage{}, other, organisation)
					if s := b.ask(b.Request(http.MethodGet, personPath(seen.ID), nil)); (s.status == http.StatusOK) != may(people.ActFind) {
						t.Errorf("%s of %s: shown with %d", other, organisation, s.status)
					}
					for name, page := range cellPages() {
						subject, path := k.cell(name, page, other, organisation)
						if role == account.RoleHelpdesk {
							code, _ := k.People.CallerCode(subject.ID)
							_ = k.People.CheckCaller(t.Context(), people.As(self), people.Who{ID: subject.ID}, code, "T")
						}
						b.wantCell(subject.ID, path, page, may(page.kind))
					}
					b.wantBulk(other, organisation, may)
				}
			}
			for name, page := range cellPages() {
				if page.of == "" {
					b.wantCell(self.ID, name, page, false)
				}
			}
		})
	}
}

// wantCell opens a page and posts its form: it is shown and done, or neither,
// and then the trail has nothing of it.
func (b *browser) wantCell(id account.ID, path string, page cellPage, want bool) {
	b.k.t.Helper()
	before, target := b.k.newest(id), personPath(id)+"/"+path
	name, _, _ := strings.Cut(path, "?")
	s := b.ask(b.Request(http.MethodGet, target, nil))
	if got := s.status == http.StatusOK; got != want {
		b.k.t.Errorf("%s: shown with %d, want it: %v", target, s.status, want)
		return
	}
	if !want {
		values := url.Values{"csrf_token": {b.k.Guard.Token("session " + b.session())}, "version": {"1"}, "username": {"stolen"}, "action": {name}}
		for field, value := range page.typed {
			values.Set(field, value)
		}
		s = b.ask(b.Request(http.MethodPost, target, values))
		if s.status != http.StatusForbidden && s.status != http.StatusNotFound && s.status != http.StatusSeeOther || b.k.newest(id) != before {
			b.k.t.Errorf("%s: a form that may not be posted gets %d", target, s.status)
		}
		return
	}
	typed := map[string]string{"action": name}
	for field, value := range page.typed {
		typed[field] = value
	}
	if s = b.send(s.form(b.k.t, "/"+path), typed); s.status != http.StatusOK && name != "delete" || b.k.newest(id) == before {
		b.k.t.Errorf("%s: a form that may be posted gets %d to %q\n%s", target, s.status, s.to, s.text)
	}
}

// wantBulk posts what is done to several, for one of them.
func (b *browser) wantBulk(role account.Role, organisation string, may func(people.Action) bool) {
	b.k.t.Helper()
	for _, name := range bulkActs {
		subject, _ := b.k.cell(name, cellPage{}, role, organisation)
		if acts[name].letsIn && b.role() == account.RoleHelpdesk {
			continue // nobody has checked who is calling
		}
		before := b.k.newest(subject.ID)
		b.ask(b.Request(http.MethodPost, home+"bulk", url.Values{
			"csrf_token": {b.k.Guard.Token("session " + b.session())}, "action": {name}, "id": {string(subject.ID)},
		}))
		if done := b.k.newest(subject.ID) != before; done != may(acts[name].action) {
			b.k.t.Errorf("%s to several, %s of %s: done is %v", name, role, organisation, done)
		}
	}
}

// newest is the number of the newest event about an account.
func (k *rig) newest(id account.ID) int64 {
	k.t.Helper()
	records, err := k.db.Events(k.t.Context(), audit.Query{Account: string(id), Limit: 1})
	if err != nil || len(records) == 0 {
		k.t.Fatal(records, err)
	}
	return records[0].Seq
}

func TestPagesOfNobodyAreForSomeRolesAlone(t *testing.T) {
	for page, roles := range map[string]string{
		"": "owner admin helpdesk auditor", "organisations": "owner admin helpdesk auditor", "organisation?name=north": "owner admin helpdesk auditor",
		"organisation?name=south": "owner auditor", "new": "owner admin", "import": "owner admin", "approvals": "owner admin helpdesk",
		"trail": "owner auditor", "event?record=1": "owner auditor", "messages": "owner auditor",
	} {
		k := newRig(t)
		for _, role := range account.Roles() {
			b, _ := k.administrator(role, "north")
			s := b.ask(b.Request(http.MethodGet, home+page, nil))
			if may := slices.Contains(strings.Fields(roles), string(role)); may != (s.status == http.StatusOK) {
				t.Errorf("%s shows %q with %d", role, page, s.status)
			}
		}
	}
}

func TestOrganisationsAndRolesAreGivenByWhoMay(t *testing.T) {
	gives := map[account.Role]string{account.RoleOwner: "user helpdesk admin owner auditor", account.RoleAdmin: "user helpdesk admin"}
	k := newRig(t)
	for _, role := range account.Roles() {
		b, _ := k.administrator(role, "north")
		posted := func(path string, fields url.Values) {
			fields.Set("csrf_token", k.Guard.Token("session "+b.session()))
			b.ask(b.Request(http.MethodPost, home+path, fields))
		}
		exists := func(name string) bool {
			_, err := k.db.AccountByUsername(t.Context(), account.LocalSource, name)
			return err == nil
		}
		for _, organisation := range []string{"north", "south"} {
			for _, given := range account.Roles() {
				may := slices.Contains(strings.Fields(gives[role]), string(given)) && (organisation == "north" || role == account.RoleOwner)
				name := string(role) + " makes " + string(given) + " in " + organisation
				posted("new", url.Values{"username": {name}, "organisation": {organisation}, "role": {string(given)}, "seen": {"yes"}})
				table := "username,role,organisation\nimport " + name + "," + string(given) + "," + organisation + "\n"
				posted("import", url.Values{"table_text": {table}, "action": {"import"}})
				if exists(name) != may || exists("import "+name) != may {
					t.Errorf("%s: made %v, imported %v, want %v", name, exists(name), exists("import "+name), may)
				}
			}
		}
		name := "of " + string(role)
		posted("organisations", url.Values{"name": {name}, "action": {"add"}})
		if _, err := k.db.Organisation(t.Context(), name); (err == nil) != (role == account.RoleOwner) {
			t.Errorf("%s makes an organisation: %v", role, err)
		}
		posted("organisation?name=north", url.Values{"require": {"mfa"}, "action": {"save"}})
		if o, err := k.db.Organisation(t.Context(), "north"); err != nil || (o.Require == "mfa") != (role == account.RoleOwner) {
			t.Errorf("%s changes an organisation: %+v, %v", role, o, err)
		}
		if role == account.RoleOwner {
			posted("organisation?name=north", url.Values{"require": {""}, "action": {"save"}})
			posted("organisation?name="+url.QueryEscape(name), url.Values{"action": {"delete"}})
		}
		if _, err := k.db.Organisation(t.Context(), name); err == nil {
			t.Errorf("%s is there", name)
		}
	}
}

// role is that of whoever is signed in.
func (b *browser) role() account.Role { return b.entry().Owner.Account.Role }

// session is the ID of the browser's session.
func (b *browser) session() string { return string(b.entry().Session.ID) }

func (b *browser) entry() *session.Entry {
	b.k.t.Helper()
	e, err := b.k.Sessions.Find(b.k.t.Context(), b.Request(http.MethodGet, "/", nil).Header, b.k.Place)
	if err != nil || e == nil {
		b.k.t.Fatal("no session", err)
	}
	return e
}

// forge posts a form in the ways in which nobody may.
func (b *browser) forge(f form, foreign string) {
	b.k.t.Helper()
	try := func(what string, change func(url.Values, *http.Request)) {
		b.k.t.Helper()
		values := maps.Clone(f.fields)
		r := b.Request(http.MethodPost, f.action, values)
		change(values, r)
		again := b.Request(http.MethodPost, f.action, values)
		again.Header = r.Header
		if s := b.ask(again); s.status != http.StatusForbidden {
			b.k.t.Errorf("%s, %s: status %d to %q", f.action, what, s.status, s.to)
		}
	}
	try("no token", func(v url.Values, _ *http.Request) { v.Del("csrf_token") })
	try("another's token", func(v url.Values, _ *http.Request) { v.Set("csrf_token", foreign) })
	try("another site", func(_ url.Values, r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") })
	try("another origin", func(_ url.Values, r *http.Request) {
		r.Header.Del("Sec-Fetch-Site")
		r.Header.Set("Origin", "https://evil.example")
	})
	try("a frame", func(_ url.Values, r *http.Request) { r.Header.Set("Sec-Fetch-Dest", "iframe") })
	try("a script", func(_ url.Values, r *http.Request) { r.Header.Set("Sec-Fetch-Mode", "cors") })
}
