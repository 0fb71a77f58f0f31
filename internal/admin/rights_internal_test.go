package admin

import (
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/people"
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

func TestEveryCellOfTheRightsHoldsAtThePages(t *testing.T) {
	k := newRig(t)
	for role, row := range reach {
		b, self := k.administrator(role, "north")
		for organisation, at := range map[string]int{"north": 0, "south": 1} {
			for _, other := range account.Roles() {
				subject := k.person(people.NewAccount{Username: "s-" + string(account.NewID())[:8], Role: other, Organisation: organisation})
				may := func(cells string) bool {
					return strings.Contains(" "+strings.Split(cells, "/")[at]+" ", " "+string(other)+" ")
				}
				b.wantCell(subject.ID, "", may(row.find))
				if role == account.RoleHelpdesk {
					code, _ := k.People.CallerCode(subject.ID)
					_ = k.People.CheckCaller(t.Context(), people.As(self), people.Who{ID: subject.ID}, code, "T")
				}
				for name, a := range acts {
					want := may(row.manage)
					if a.action != people.ActManage {
						want = may(row.reset)
					}
					b.wantCell(subject.ID, "/"+name, want)
				}
				b.wantCell(subject.ID, "/edit", may(row.manage))
			}
		}
		for name := range acts {
			b.wantCell(self.ID, "/"+name, false)
		}
		b.wantCell(self.ID, "/edit", false)
	}
}

// wantCell opens a page and posts to it: both are allowed, or neither is and
// nothing has changed.
func (b *browser) wantCell(id account.ID, page string, want bool) {
	b.k.t.Helper()
	before, _ := b.k.db.Account(b.k.t.Context(), id)
	s := b.ask(b.request(http.MethodGet, personPath(id)+page, nil))
	if got := s.status == http.StatusOK; got != want {
		b.k.t.Errorf("%s%s: shown with %d, want it: %v", before.Role, page, s.status, want)
	}
	if want || page == "" {
		return
	}
	token := b.k.Guard.Token("session " + b.session())
	s = b.ask(b.request(http.MethodPost, personPath(id)+page, url.Values{"csrf_token": {token}, "version": {"0"}, "username": {"stolen"}, "action": {page[1:]}}))
	after, err := b.k.db.Account(b.k.t.Context(), id)
	if s.status != http.StatusForbidden && s.status != http.StatusNotFound && s.status != http.StatusSeeOther || err != nil || after.Version != before.Version {
		b.k.t.Errorf("%s%s: a form gets %d, version %d -> %d, %v", before.Role, page, s.status, before.Version, after.Version, err)
	}
}

// session is the ID of the browser's session.
func (b *browser) session() string {
	b.k.t.Helper()
	e, err := b.k.Sessions.Find(b.k.t.Context(), b.request(http.MethodGet, "/", nil).Header, b.k.Place)
	if err != nil || e == nil {
		b.k.t.Fatal("no session", err)
	}
	return string(e.Session.ID)
}

func TestNoFormCanBeForged(t *testing.T) {
	k := newRig(t)
	b, boss := k.administrator(account.RoleAdmin, "north")
	other, _ := k.administrator(account.RoleAdmin, "south")
	joe := k.person(people.NewAccount{Username: "joe", Organisation: "north"})
	far := k.person(people.NewAccount{Username: "far", Organisation: "south"})
	pages := []string{home + "new", home + "bulk?action=suspend&id=" + string(joe.ID), personPath(joe.ID) + "/edit"}
	for name := range acts {
		if name != "resume" {
			pages = append(pages, personPath(joe.ID)+"/"+name)
		}
	}
	foreign := other.open(home).form(t, "accounts.csv").fields.Get("csrf_token")
	for _, page := range pages {
		f := b.open(page).forms
		for _, posted := range f {
			if posted.method != "post" || strings.HasSuffix(posted.action, "/sign-out") {
				continue
			}
			b.forge(posted, foreign)
		}
	}
	// A form for one account, posted at another's of another organisation.
	for name := range acts {
		f := b.open(personPath(joe.ID)+"/delete").form(t, "delete")
		f.action = personPath(far.ID) + "/" + name
		b.send(f, map[string]string{"action": name}).wants(t, http.StatusNotFound)
	}
	f := b.open(home+"bulk?action=suspend&id="+string(joe.ID)).form(t, "suspend")
	f.fields["id"] = []string{string(far.ID)}
	b.send(f, map[string]string{"action": "suspend"}).wants(t, http.StatusNotFound)
	// An administrator who was demoted a second ago.
	f = b.open(personPath(joe.ID)+"/suspend").form(t, "suspend")
	user := account.RoleUser
	if _, err := k.People.EditAccount(t.Context(), people.Operator(), people.Who{ID: boss.ID}, people.Changes{Role: &user}); err != nil {
		t.Fatal(err)
	}
	b.send(f, nil).wants(t, http.StatusForbidden)
	for _, a := range []account.Account{joe, far} {
		if now, err := k.db.Account(t.Context(), a.ID); err != nil || now.Version != a.Version {
			t.Errorf("%s was changed: %+v, %v", a.Username, now, err)
		}
	}
	if len(k.events(audit.UserSuspended)) != 0 {
		t.Error("somebody was suspended")
	}
	k.browser(joe, policy.Password, policy.TOTP).open(home).wants(t, http.StatusForbidden)
}

// forge posts a form in the ways in which nobody may.
func (b *browser) forge(f form, foreign string) {
	b.k.t.Helper()
	try := func(what string, change func(url.Values, *http.Request)) {
		b.k.t.Helper()
		values := maps.Clone(f.fields)
		r := b.request(http.MethodPost, f.action, values)
		change(values, r)
		again := b.request(http.MethodPost, f.action, values)
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
