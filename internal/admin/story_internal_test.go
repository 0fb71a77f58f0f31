package admin

import (
	"bytes"
	"context"
	"maps"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stepgate/stepgate/factors/token"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/policy"
)

func (s sheet) wants(t *testing.T, status int, texts ...string) sheet {
	t.Helper()
	if s.status != status {
		t.Fatalf("%s: status %d, want %d (to %q)\n%s", s.at, s.status, status, s.to, s.text)
	}
	for _, text := range texts {
		if !strings.Contains(s.text, text) {
			t.Errorf("%s does not say %q\n%s", s.at, text, s.text)
		}
	}
	return s
}

func (s sheet) lacks(t *testing.T, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if strings.Contains(s.text, text) {
			t.Errorf("%s says %q", s.at, text)
		}
	}
}

const home = "/.stepgate/admin/"

func personPath(id account.ID) string { return home + "person/" + string(id) }

func TestAdministratorsNeedASecondFactor(t *testing.T) {
	k := newRig(t)
	a := k.person(people.NewAccount{Username: "boss", Role: account.RoleOwner})
	if s := k.browser(a, policy.Password).open(home + "?q=x"); !strings.HasPrefix(s.to, "/door") || !strings.Contains(s.to, url.QueryEscape("/.stepgate/admin/?q=x")) {
		t.Errorf("with a password alone: %d to %q", s.status, s.to)
	}
	if s := k.stranger(map[string]string{}).open(home); !strings.HasPrefix(s.to, "/door") {
		t.Errorf("nobody: %d to %q", s.status, s.to)
	}
	user := k.browser(k.person(people.NewAccount{Username: "joe"}), policy.Password, policy.TOTP)
	user.open(home).wants(t, http.StatusForbidden, "for administrators")
	boss := k.browser(a, policy.Password, policy.TOTP)
	boss.open("/.stepgate/admin").wants(t, http.StatusOK, `name="q"`)
	boss.open(personPath("none")).wants(t, http.StatusNotFound, "Search again", `href="/.stepgate/admin/"`)
}

func TestAnAccountIsFoundMadeChangedSuspendedAndDeleted(t *testing.T) {
	k := newRig(t)
	b, _ := k.administrator(account.RoleAdmin, "north")
	made := b.send(b.open(home+"new").form(t, "/admin/new"), map[string]string{
		"username": "ada", "title": "Dr", "first": "Ada", "middle": "King", "surname": "Lovelace", "email": "ada@example.gov", "mobile": "07700 900609",
	}).wants(t, http.StatusOK, "invitation is on its way", "Dr", "King", "Lovelace", "447700900609", "north")
	id := account.ID(made.at[len(home+"person/"):strings.Index(made.at, "?")])
	b.open(home+"?q=lovel").wants(t, http.StatusOK, "Ada King Lovelace", string(id))
	b.open(home+"?q="+url.QueryEscape("\u2068lov\u200bel\u2069")).wants(t, http.StatusOK, "Ada King Lovelace") // as it was pasted
	b.open(home+"?q=nobody-at-all").wants(t, http.StatusOK, "Nobody was found")

	edit := b.open(personPath(id)+"/edit").form(t, "/edit")
	b.send(edit, map[string]string{"email": "not an address"}).wants(t, http.StatusBadRequest, `id="email-error"`)
	b.send(edit, map[string]string{"email": "lovelace@example.gov"}).wants(t, http.StatusOK, "lovelace@example.gov", "saved")
	stale := b.send(edit, map[string]string{"mobile": ""}).wants(t, http.StatusConflict, "ada@example.gov", "lovelace@example.gov")
	b.send(stale.form(t, "/edit"), nil).wants(t, http.StatusOK, "saved").lacks(t, "447700900609")

	b.send(b.open(personPath(id)+"/suspend").form(t, "suspend"), map[string]string{"reason": "left"}).wants(t, http.StatusOK, "Suspended")
	b.send(b.open(personPath(id)+"/resume").form(t, "resume"), nil).wants(t, http.StatusOK, "In use")
	b.send(b.open(personPath(id)+"/factors-on").form(t, "factors-on"), nil).wants(t, http.StatusOK, ">ON<")
	b.send(b.open(personPath(id)+"/factors-off").form(t, "factors-off"), nil).wants(t, http.StatusOK, ">OFF<")
	k.holds(id, "totp", "sms")
	b.open(personPath(id)).wants(t, http.StatusOK, "My totp", "My sms")
	b.send(b.open(personPath(id)+"/reset-factors").form(t, "reset-factors"), nil).wants(t, http.StatusOK, "Only the user can set this up", "Set up by registration")
	b.send(b.open(personPath(id)+"/temporary-code").form(t, "temporary-code"), map[string]string{"lifetime": "8h"}).wants(t, http.StatusOK, `data-stepgate="temporary-code"`)
	b.open(personPath(id)).lacks(t, `data-stepgate="temporary-code"`)
	b.send(b.open(personPath(id)+"/invite").form(t, "invite"), nil).wants(t, http.StatusOK, "invitation is on its way")
	b.send(b.open(personPath(id)+"/delete").form(t, "delete"), nil).wants(t, http.StatusOK, "deleted")
	b.open(personPath(id)).wants(t, http.StatusNotFound)
	if e := k.events(audit.UserSuspended); len(e) != 1 || e[0].Address != "192.0.2.7" || e[0].Site != rigOrigin || e[0].Session == "" {
		t.Errorf("the event of the suspension: %+v", e)
	}
}

func TestWhatResetsOrHandsOutNeedsAProofOfItsOwn(t *testing.T) {
	k := newRig(t)
	k.door.open = false
	b, _ := k.administrator(account.RoleOwner, "north")
	joe := k.person(people.NewAccount{Username: "joe", Organisation: "north"})
	for _, name := range []string{"reset-factors", "temporary-code", "invite", "delete", "factors-off"} {
		path := personPath(joe.ID) + "/" + name
		if s := b.open(path); !strings.HasPrefix(s.to, "/prove") {
			t.Errorf("%s is shown without a proof: %d", name, s.status)
		}
		k.door.proved["admin "+name+" "+string(joe.ID)] = true
		f := b.open(path).form(t, name)
		k.door.proved = map[string]bool{}
		if s := b.send(f, nil); !strings.HasPrefix(s.to, "/prove") {
			t.Errorf("%s is done without a proof: %d", name, s.status)
		}
	}
	if s := b.open(home + "bulk?action=reset-factors&id=" + string(joe.ID)); !strings.HasPrefix(s.to, "/prove") {
		t.Errorf("a bulk reset is shown without a proof: %d", s.status)
	}
	if now, err := k.db.Account(t.Context(), joe.ID); err != nil || now.Version != joe.Version {
		t.Errorf("something was done: %+v, %v", now, err)
	}
}

func TestTheHelpdeskChecksTheCallerFirst(t *testing.T) {
	k := newRig(t)
	b, _ := k.administrator(account.RoleHelpdesk, "north")
	joe := k.person(people.NewAccount{Username: "joe", Organisation: "north"})
	k.holds(joe.ID, "totp", "sms")
	b.open(personPath(joe.ID)).wants(t, http.StatusOK, "Check who is calling").lacks(t, "/reset-factors", "/edit", "/suspend", "/delete", "/key", "You can register one")
	caller := b.open(personPath(joe.ID)+"/reset-factors").wants(t, http.StatusOK, "Ticket number", "My sms").form(t, "verify")
	code, _ := k.People.CallerCode(joe.ID)
	b.send(caller, map[string]string{"code": code, "action": "verify"}).wants(t, http.StatusBadRequest, `href="#ticket"`)
	b.send(caller, map[string]string{"code": "12", "ticket": "T-9", "action": "verify"}).wants(t, http.StatusBadRequest, `href="#code"`)
	b.send(caller, map[string]string{"code": code, "ticket": "T-9", "action": "verify"}).wants(t, http.StatusOK, "T-9", "/reset-factors", "/temporary-code")
	b.send(b.open(personPath(joe.ID)+"/reset-factors").form(t, "reset-factors"), nil).wants(t, http.StatusOK, "factors were reset")
	b.send(b.open(personPath(joe.ID)+"/temporary-code").form(t, "temporary-code"), nil).wants(t, http.StatusOK, `data-stepgate="temporary-code"`)
	k.holds(joe.ID, "sms")
	k.People.Callers.Send = func(context.Context, account.Account, account.Credential, string) error { return nil }
	held, err := k.db.Credentials(t.Context(), joe.ID)
	if err != nil {
		t.Fatal(err)
	}
	held = slices.DeleteFunc(held, func(c account.Credential) bool { return c.Address == "" })
	sent := b.send(caller, map[string]string{"credential": string(held[0].ID), "ticket": "T-9 &c", "action": "send"}).wants(t, http.StatusOK, "on its way")
	if ticket := sent.form(t, "verify").fields.Get("ticket"); ticket != "T-9 &c" {
		t.Errorf("after a code was sent the ticket is %q", ticket)
	}
	for range 8 {
		b.send(caller, map[string]string{"code": "000000", "ticket": "T", "action": "verify"})
	}
	b.send(caller, map[string]string{"code": code, "ticket": "T", "action": "verify"}).wants(t, http.StatusTooManyRequests, "too many wrong codes")
}

// TestANumberThatNoTextReachesIsSavedKnowingly also holds that what is no number
// at all is refused, and not warned of.
func TestANumberThatNoTextReachesIsSavedKnowingly(t *testing.T) {
	k := newRig(t)
	k.People.TextCountries = []string{"GB"}
	b, _ := k.administrator(account.RoleAdmin, "north")
	empty := b.open(home+"new").form(t, "/admin/new")
	none := b.send(empty, map[string]string{"username": "ada", "mobile": "12"}).wants(t, http.StatusBadRequest, "cannot be a mobile phone number")
	none.lacks(t, "no text message reaches")
	warned := b.send(empty, map[string]string{"username": "ada", "mobile": "020 7946 0018"}).wants(t, http.StatusOK, "no text message reaches", "Nothing was saved yet")
	b.send(warned.form(t, "/admin/new"), nil).wants(t, http.StatusOK, `data-stepgate="link"`)
}

func TestASecondAdministratorApproves(t *testing.T) {
	k := newRig(t)
	k.People.TwoPerson = true
	ann, _ := k.administrator(account.RoleAdmin, "north")
	ben, _ := k.administrator(account.RoleAdmin, "north")
	joe := k.person(people.NewAccount{Username: "joe", Organisation: "north"})
	k.holds(joe.ID, "totp")
	ann.send(ann.open(personPath(joe.ID)+"/reset-factors").form(t, "reset-factors"), map[string]string{"reason": "lost phone"}).
		wants(t, http.StatusOK, "another administrator has approved", "joe", "You asked for this yourself")
	queue := ben.open(home+"approvals").wants(t, http.StatusOK, "joe", "lost phone")
	queue.lacks(t, "once more")
	ben.open(home+"approvals?approve="+queue.form(t, "approve").fields.Get("approval")).wants(t, http.StatusOK, "press Approve once more for joe")
	ben.send(queue.form(t, "approve"), map[string]string{"action": "approve"}).wants(t, http.StatusOK, "You have approved it", "Nothing waits")
	if held, _ := k.db.Credentials(t.Context(), joe.ID); len(held) != 0 {
		t.Error("it was approved and did not happen")
	}
	ann.send(ann.open(personPath(joe.ID)+"/temporary-code").form(t, "temporary-code"), nil).wants(t, http.StatusOK, "another administrator has approved")
	approval := ann.open(home+"approvals").form(t, "decline")
	ann.send(approval, map[string]string{"action": "approve"}).wants(t, http.StatusForbidden, "asked for this yourself")
	ben.send(approval, map[string]string{"action": "approve", "csrf_token": ben.open(home+"approvals").form(t, "decline").fields.Get("csrf_token")}).wants(t, http.StatusOK, "You have approved it")
	ann.open(home+"approvals").wants(t, http.StatusOK, "Make the code now").lacks(t, "Ticket")
	ann.send(ann.open(personPath(joe.ID)+"/temporary-code").form(t, "temporary-code"), nil).wants(t, http.StatusOK, `data-stepgate="temporary-code"`)

	help, _ := k.administrator(account.RoleHelpdesk, "north")
	code, _ := k.People.CallerCode(joe.ID)
	help.send(help.open(personPath(joe.ID)+"/caller").form(t, "verify"), map[string]string{"code": code, "ticket": "T-9", "action": "verify"}).wants(t, http.StatusOK, "T-9")
	help.send(help.open(personPath(joe.ID)+"/reset-factors").form(t, "reset-factors"), nil).wants(t, http.StatusOK, "another administrator has approved")
	ben.open(home+"approvals").wants(t, http.StatusOK, "checked who was calling. Ticket: T-9.")
}

func TestSeveralAtOnceGetAReport(t *testing.T) {
	k := newRig(t)
	b, self := k.administrator(account.RoleAdmin, "north")
	var query []string
	for _, name := range []string{"ann", "ben"} {
		query = append(query, "id="+string(k.person(people.NewAccount{Username: name, Organisation: "north"}).ID))
	}
	query = append(query, "id="+string(self.ID), "action=suspend")
	page := b.open(home+"bulk?"+strings.Join(query, "&")).wants(t, http.StatusOK, "ann", "ben")
	b.send(page.form(t, "suspend"), map[string]string{"action": "suspend"}).wants(t, http.StatusOK, "Not done: 1", "nobody acts on their own account")
	if len(k.events(audit.UserSuspended)) != 2 {
		t.Error("the others were not suspended")
	}
	b.open(home+"bulk?action=delete&id=x").wants(t, http.StatusBadRequest)
	b.open(home+"bulk?action=suspend").wants(t, http.StatusOK, "You chose nobody")
}

// upload posts a table as a browser does.
func (b *browser) upload(f form, field, content string, typed map[string]string) sheet {
	b.k.t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for name, values := range f.fields {
		if name != field && name != "table" {
			w.WriteField(name, values[0])
		}
	}
	for name, value := range typed {
		w.WriteField(name, value)
	}
	if field == "table" {
		part, _ := w.CreateFormFile("table", "people.csv")
		part.Write([]byte(content))
	} else {
		w.WriteField(field, content)
	}
	w.Close()
	r := b.Request(http.MethodPost, f.action, nil)
	posted := r.Clone(r.Context())
	posted.Body, posted.ContentLength = http.NoBody, 0
	posted.Header.Set("Content-Type", w.FormDataContentType())
	posted.Header.Set("Origin", rigOrigin)
	posted.Body = readCloser{&body}
	return b.ask(posted)
}

type readCloser struct{ *bytes.Buffer }

func (readCloser) Close() error { return nil }

func TestATableIsTriedAndThenImported(t *testing.T) {
	k := newRig(t)
	b, _ := k.administrator(account.RoleAdmin, "north")
	f := b.open(home+"import").form(t, "/import")
	table := "username,email,name\nann,ann@example.gov,Ann\nben,broken,Ben\nann,,Twice\n"
	b.upload(f, "table", table, map[string]string{"action": "try"}).wants(t, http.StatusBadRequest, "line 3", "line 4")
	b.upload(f, "table", "", map[string]string{"action": "try"}).wants(t, http.StatusBadRequest, "Choose a file")
	tried := b.upload(f, "table", "username,name\nann,Ann <script>alert(1)</script>\nben,Ben\n", map[string]string{"action": "try"}).wants(t, http.StatusOK, "can be made: 2")
	if found, _ := k.db.AnyAccount(t.Context()); !found || len(k.events(audit.UserCreated)) != 1 {
		t.Error("a trial made accounts")
	}
	again := tried.form(t, "import")
	b.upload(again, "table_text", again.fields.Get("table_text"), map[string]string{"action": "import"}).wants(t, http.StatusOK, "were made: 2")
	b.open(home+"?q=ann").wants(t, http.StatusOK, "&lt;script&gt;").lacks(t, "<script>alert")
}

func TestOrganisationsAreMadeAndChangedByOwners(t *testing.T) {
	k := newRig(t)
	owner, _ := k.administrator(account.RoleOwner, "default")
	owner.send(owner.open(home+"organisations").form(t, "add"), map[string]string{"name": "West & East", "require": "mfa", "enrolment": "invited"}).
		wants(t, http.StatusOK, "West &amp; East", "were changed")
	page := owner.open(home + "organisation?name=" + url.QueryEscape("West & East"))
	owner.send(page.form(t, "save"), map[string]string{"require": "", "action": "save"}).wants(t, http.StatusOK, "were changed")
	o, err := k.db.Organisation(t.Context(), "West & East")
	if err != nil || o.Require != "" || o.Enrolment != "invited" {
		t.Errorf("%+v, %v", o, err)
	}
	admin, _ := k.administrator(account.RoleAdmin, "north")
	admin.open(home+"organisations").wants(t, http.StatusOK, "north").lacks(t, "south", "West", `value="add"`)
	admin.open(home+"organisation?name=north").wants(t, http.StatusOK, "admin-").lacks(t, `value="save"`)
	admin.open(home+"organisation?name=south").wants(t, http.StatusNotFound)
	stolen := page.form(t, "save")
	stolen.fields = maps.Clone(stolen.fields)
	stolen.fields.Set("csrf_token", admin.open(home).form(t, "accounts.csv").fields.Get("csrf_token"))
	stolen.action = home + "organisation?name=north"
	admin.send(stolen, map[string]string{"require": "", "action": "save"}).wants(t, http.StatusForbidden)
	owner.send(page.form(t, "delete"), map[string]string{"action": "delete"}).wants(t, http.StatusOK, "were changed")
}

// TestTwoPeopleOfOneUsernameAreToldApart has a name that two sources have.
func TestTwoPeopleOfOneUsernameAreToldApart(t *testing.T) {
	k := newRig(t)
	k.People.Sources = []people.Source{{Name: account.LocalSource}, {Name: "county", SubjectIsName: true}}
	b, _ := k.administrator(account.RoleOwner, "north")
	for _, source := range []string{account.LocalSource, "county"} {
		k.person(people.NewAccount{Username: "joe", Source: source})
	}
	k.person(people.NewAccount{Username: "ann"})
	for _, page := range []string{"?q=joe", "trail"} {
		b.open(home+page).wants(t, http.StatusOK, "joe (local)", "joe (county)").lacks(t, ">joe<")
	}
	b.open(home+"?q=ann").wants(t, http.StatusOK, ">ann<")
}

func TestNamesThatLookAlikeAreWarnedOf(t *testing.T) {
	k := newRig(t)
	b, _ := k.administrator(account.RoleAdmin, "north")
	k.person(people.NewAccount{Username: "paypal", Organisation: "north"})
	for _, name := range []string{"p\u0430ypal", "paypa1"} {
		warned := b.send(b.open(home+"new").form(t, "/new"), map[string]string{"username": name}).wants(t, http.StatusOK, "can be taken for", "paypal")
		b.send(warned.form(t, "/new"), nil).wants(t, http.StatusOK)
	}
	if len(k.events(audit.UserCreated)) != 4 {
		t.Error("a warning keeps an administrator from going on")
	}
	for _, name := range []string{"a\u202eb", "a\x07b"} {
		s := b.send(b.open(home+"new").form(t, "/new"), map[string]string{"username": name})
		if s.status != http.StatusBadRequest && strings.Contains(s.text, "\u202e") {
			t.Errorf("%q: status %d", name, s.status)
		}
	}
}

func TestTokensAndDevicesAreSeenAndRevoked(t *testing.T) {
	k := newRig(t)
	k.People.Tokens = token.Factor{}
	k.People.DeviceEnds = func(c account.Credential) time.Time { return c.CreatedAt.Add(30 * 24 * time.Hour) }
	b, _ := k.administrator(account.RoleAdmin, "north")
	robot := k.person(people.NewAccount{Username: "robot", Organisation: "north"})
	k.holds(robot.ID, "device_pin")
	k.holds(robot.ID, "approval")

	b.open(personPath(robot.ID)).wants(t, http.StatusOK, "My device_pin", "Ends:", "/token\"", "Not set up. For programs")
	form := b.open(personPath(robot.ID)+"/token").form(t, "token")
	b.send(form, map[string]string{"paths": "/dav/*"}).wants(t, http.StatusBadRequest, `href="#label"`)
	b.send(form, map[string]string{"label": "Backup", "paths": "dav"}).wants(t, http.StatusBadRequest, `href="#paths"`, "Backup")
	b.send(form, map[string]string{"label": "Backup", "paths": "/dav/*", "addresses": "here"}).wants(t, http.StatusBadRequest, `href="#addresses"`)
	made := b.send(form, map[string]string{"label": "Backup", "paths": "/dav/*", "methods": "read", "days": "30", "addresses": "192.0.2.0/24"}).
		wants(t, http.StatusOK, `data-stepgate="token"`, token.Prefix)
	secret := made.text[strings.Index(made.text, token.Prefix):][:len(token.Prefix)+26]
	page := b.open(personPath(robot.ID)).wants(t, http.StatusOK, "Backup", "/dav/*", "GET", "192.0.2.0/24")
	page.lacks(t, secret)

	held, err := k.db.Credentials(t.Context(), robot.ID)
	if err != nil || len(held) != 3 {
		t.Fatal(held, err)
	}
	for _, c := range held {
		act := "revoke-token"
		switch c.Factor {
		case "device_pin":
			act = "revoke-device"
		case "approval":
			act = "revoke-phone"
		}
		at := personPath(robot.ID) + "/" + act + "?credential=" + string(c.ID)
		if !strings.Contains(page.text, strings.TrimPrefix(at, "/.stepgate")) {
			t.Errorf("the page does not lead to %s", at)
		}
		form := b.open(at).wants(t, http.StatusOK, c.Label).form(t, act)
		b.send(form, map[string]string{"reason": "lost"}).wants(t, http.StatusOK, "was revoked").lacks(t, c.Label)
		b.open(at).wants(t, http.StatusNotFound)
	}
	b.open(personPath(robot.ID)+"/revoke-token?credential=none").wants(t, http.StatusNotFound)
	if left, err := k.db.Credentials(t.Context(), robot.ID); err != nil || len(left) != 0 {
		t.Error(left, err)
	}
	for name, factor := range map[audit.Name]string{audit.DeviceRevoked: "device_pin", audit.FactorDisabled: "approval", audit.TokenRevoked: "token", audit.TokenCreated: "token"} {
		if e := k.events(name); len(e) != 1 || e[0].Factor != factor || e[0].Actor == e[0].Account {
			t.Errorf("%s: %+v", name, e)
		}
	}
}

func TestANoIsInTheLanguageOfThePage(t *testing.T) {
	k := newRig(t)
	b, _ := k.administrator(account.RoleAdmin, "north")
	joe := k.person(people.NewAccount{Username: "joe", Organisation: "north"})
	f := b.open(personPath(joe.ID)+"/edit").form(t, "/edit")
	f.action += "?lang=cy"
	b.send(f, map[string]string{"email": "broken"}).wants(t, http.StatusBadRequest, "Nid yw &#34;broken&#34; yn gyfeiriad e-bost", "Ysgrifennwch ef fel").lacks(t, "is not an e-mail")
	f = b.open(home+"new").form(t, "/new")
	f.action += "?lang=cy"
	b.send(f, map[string]string{"username": "p\u0430ypal"}).wants(t, http.StatusOK, "yn cymysgu llythrennau sawl sgript")
	f = b.open(home+"import").form(t, "/import")
	f.action += "?lang=cy"
	b.upload(f, "table", "username,email\nann,broken\n", map[string]string{"action": "try"}).wants(t, http.StatusBadRequest, "llinell 2: Nid yw")
}
