package admin

import (
	"context"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/stepgate/stepgate/factors/delivery"
	"github.com/stepgate/stepgate/factors/temporarycode"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/keys"
	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/store"
	"github.com/stepgate/stepgate/internal/store/sqldb"
	"github.com/stepgate/stepgate/internal/store/storetest"
	"github.com/stepgate/stepgate/internal/throttle"
	"github.com/stepgate/stepgate/internal/web"
	"github.com/stepgate/stepgate/policy"
)

const rigOrigin = "https://admin.example.gov"

// rig is the pages over a new SQLite store, without Caddy and without the
// ceremonies: a door of its own says who has proved what.
type rig struct {
	*Site
	t     *testing.T
	db    *sqldb.DB
	door  *rigDoor
	pages http.Handler
	ring  *keys.Ring
	file  string
	// crashes keeps what a kill would leave, once it has begun.
	crashes *storetest.Crashes

	mu  sync.Mutex
	now time.Time
}

// rigDoor lets in whoever has a second factor, and takes the operations that a
// test has proved, each once.
type rigDoor struct {
	mu     sync.Mutex
	proved map[string]bool
	// open makes every operation proved.
	open bool
}

func (d *rigDoor) Require(w http.ResponseWriter, r *http.Request, v *session.Entry, page string, levels ...string) (bool, error) {
	if v != nil && len(levels) > 0 && levels[0] == policy.LevelMFA {
		for _, p := range v.Session.Proofs {
			if p.Factor.Possession() {
				return true, nil
			}
		}
	}
	http.Redirect(w, r, "/door?to="+url.QueryEscape(page), http.StatusSeeOther)
	return false, nil
}

func (d *rigDoor) Authorised(w http.ResponseWriter, r *http.Request, _ *session.Entry, o ceremony.Operation) (bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.open || d.proved[o.Once] {
		return true, nil
	}
	http.Redirect(w, r, "/prove?"+url.QueryEscape(o.Once), http.StatusSeeOther)
	return false, nil
}

func (d *rigDoor) Spend(w http.ResponseWriter, r *http.Request, v *session.Entry, o ceremony.Operation) (bool, error) {
	on, err := d.Authorised(w, r, v, o)
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.proved, o.Once)
	return on, err
}

func newRig(t *testing.T) *rig {
	t.Helper()
	k := &rig{t: t, now: time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)}
	dir := t.TempDir()
	var err error
	if k.ring, err = keys.Create(filepath.Join(dir, "stepgate.key"), k.now); err != nil {
		t.Fatal(err)
	}
	k.file = filepath.Join(dir, "stepgate.db")
	k.run()
	for _, name := range []string{"north", "south"} {
		if _, err := k.People.AddOrganisation(t.Context(), people.Operator(), name, people.OrganisationRules{}, ""); err != nil {
			t.Fatal(err)
		}
	}
	return k
}

// run opens the store and makes the pages.
func (k *rig) run() {
	t, ring := k.t, k.ring
	t.Helper()
	k.door = &rigDoor{proved: map[string]bool{}, open: true}
	k.crashes = storetest.NewCrashes(t, k.file)
	var err error
	options := sqldb.Options{Ring: ring, Chain: audit.NewChain(ring), Watch: sqldb.Watch{Took: k.crashes.Took}}
	if k.db, err = sqldb.OpenSQLite(t.Context(), k.file, options); err != nil {
		t.Fatal(err)
	}
	sessions := session.NewManager(k.db, ring.CookieKeys("session"), session.Limits{Idle: time.Hour, Absolute: 12 * time.Hour, Grace: 24 * time.Hour})
	sessions.Now = k.clock
	if err := sessions.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	recorder := audit.NewRecorder(audit.Options{Store: k.db, Now: k.clock})
	t.Cleanup(func() {
		sessions.Close()
		recorder.Close(context.Background())
		k.db.Close()
	})
	site := &web.Site{Name: "Portal", Origin: rigOrigin, SecureCookies: true, Languages: []string{"en", "cy"}}
	kit, err := web.New(web.Options{Now: k.clock})
	if err != nil {
		t.Fatal(err)
	}
	// What the key's page loads is an asset of the ceremonies.
	pages, err := kit.Parse("admin", rigFiles{Templates()}, PageNames...)
	if err != nil {
		t.Fatal(err)
	}
	p := &people.People{
		Store: store.ForPeople(k.db), Temporary: &temporarycode.Factor{Store: k.db, Keys: ring}, Region: "GB", Now: k.clock, Callers: &people.Callers{MAC: ring.LastingMAC},
		Links: &people.Links{
			Origin:  rigOrigin,
			Address: func(purpose, token string) string { return rigOrigin + "/.stepgate/" + purpose + "/" + token },
			Letter: func(purpose string, to account.Account, link string) delivery.Message {
				return delivery.Message{Subject: purpose, Body: link}
			},
			Mail: func() bool { return true }, Wake: func() {},
		},
	}
	k.Site = &Site{
		Web: site, Pages: pages, Guard: &web.Guard{Site: site, MAC: ring.MAC, Verify: ring.VerifyMAC, Now: k.clock},
		Place:    session.Place{Origin: rigOrigin, Secure: true, Cookie: session.CookieName(true, "")},
		Sessions: sessions, Door: k.door, People: p, Store: k.db, Recorder: recorder, Ledger: &throttle.Ledger{Store: k.db, Now: k.clock},
		Plan: throttle.DefaultPlan(ring.LastingMAC), Address: func(*http.Request) netip.Addr { return netip.MustParseAddr("192.0.2.7") }, Now: k.clock,
	}
	k.pages = web.TopLevelOnly(site, k.Handler())
}

func (k *rig) clock() time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.now
}

// person keeps an account.
func (k *rig) person(n people.NewAccount) account.Account {
	k.t.Helper()
	added, err := k.People.AddAccount(k.t.Context(), people.Operator(), n)
	if err != nil {
		k.t.Fatal(err)
	}
	return added.Account
}

// holds gives somebody credentials of factors.
func (k *rig) holds(owner account.ID, factors ...string) {
	k.t.Helper()
	for _, f := range factors {
		c := account.Credential{ID: account.NewCredentialID(), Account: owner, Factor: f, Label: "My " + f, CreatedAt: k.clock()}
		if f == "sms" {
			c.Address = "+447700900609"
		}
		if err := k.db.Update(k.t.Context(), func(tx store.Tx) error { return tx.InsertCredential(k.t.Context(), c) }); err != nil {
			k.t.Fatal(err)
		}
	}
}

// browser keeps the cookies of one administrator.
type browser struct {
	k       *rig
	cookies map[string]string
}

// browser signs somebody in, with these factors.
func (k *rig) browser(owner account.Account, factors ...policy.Factor) *browser {
	k.t.Helper()
	b := &browser{k: k, cookies: map[string]string{}}
	var proofs []policy.Proof
	for _, f := range factors {
		proofs = append(proofs, policy.Proof{Factor: f, Credential: "c " + string(f), At: k.clock()})
	}
	w := httptest.NewRecorder()
	if _, err := k.Sessions.Begin(k.t.Context(), w, session.Beginning{Place: k.Place, Owner: owner.ID, Source: owner.Source, Proofs: proofs}); err != nil {
		k.t.Fatal(err)
	}
	for _, c := range w.Result().Cookies() {
		b.cookies[c.Name] = c.Value
	}
	return b
}

// administrator makes an account of a role and signs it in with two factors.
func (k *rig) administrator(role account.Role, organisation string) (*browser, account.Account) {
	k.t.Helper()
	a := k.person(people.NewAccount{Username: string(role) + "-" + string(account.NewID())[:6], Role: role, Organisation: organisation})
	return k.browser(a, policy.Password, policy.TOTP), a
}

func (b *browser) request(method, target string, form url.Values) *http.Request {
	r := httptest.NewRequestWithContext(b.k.t.Context(), method, rigOrigin+target, strings.NewReader(form.Encode()))
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", rigOrigin)
	}
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Sec-Fetch-Dest", "document")
	for name, value := range b.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	return r
}

// sheet is an answer with its forms.
type sheet struct {
	status   int
	at, to   string
	text     string
	forms    []form
	document *html.Node
}

type form struct {
	action, method string
	fields         url.Values
	buttons        []string
}

func (b *browser) ask(r *http.Request) sheet {
	b.k.t.Helper()
	w := httptest.NewRecorder()
	b.k.pages.ServeHTTP(w, r)
	answer := w.Result()
	s := sheet{status: answer.StatusCode, at: r.URL.RequestURI(), to: answer.Header.Get("Location"), text: w.Body.String()}
	var err error
	if s.document, err = html.Parse(strings.NewReader(s.text)); err != nil {
		b.k.t.Fatal(err)
	}
	for n := range s.document.Descendants() {
		if n.Type == html.ElementNode && n.Data == "form" && attribute(n, "action") != "" {
			s.forms = append(s.forms, formOf(n))
		}
	}
	return s
}

func formOf(n *html.Node) form {
	f := form{action: attribute(n, "action"), method: attribute(n, "method"), fields: url.Values{}}
	for c := range n.Descendants() {
		name := attribute(c, "name")
		switch {
		case c.Type != html.ElementNode || name == "":
		case c.Data == "button":
			f.buttons = append(f.buttons, attribute(c, "value"))
		case c.Data == "input" && (attribute(c, "type") == "checkbox" || attribute(c, "type") == "radio"):
		case c.Data == "input":
			f.fields.Add(name, attribute(c, "value"))
		case c.Data == "select":
			f.fields.Set(name, selected(c))
		case c.Data == "textarea":
			if c.FirstChild != nil {
				f.fields.Set(name, c.FirstChild.Data)
			}
		}
	}
	return f
}

func selected(n *html.Node) string {
	first, set := "", false
	for c := range n.Descendants() {
		if c.Type != html.ElementNode || c.Data != "option" {
			continue
		}
		for _, a := range c.Attr {
			if a.Key == "selected" {
				return attribute(c, "value")
			}
		}
		if !set {
			first, set = attribute(c, "value"), true
		}
	}
	return first
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// open follows redirects below the pages' prefix.
func (b *browser) open(target string) sheet {
	b.k.t.Helper()
	for range 5 {
		s := b.ask(b.request(http.MethodGet, target, nil))
		if !strings.HasPrefix(s.to, "/.stepgate/admin") {
			return s
		}
		target = s.to
	}
	b.k.t.Fatal("more than five redirects")
	return sheet{}
}

// page is the form of the page that has a button, or whose action ends so.
func (s sheet) form(t *testing.T, what string) form {
	t.Helper()
	for _, f := range s.forms {
		if strings.HasSuffix(f.action, what) {
			return f
		}
		for _, b := range f.buttons {
			if b == what {
				return f
			}
		}
	}
	t.Fatalf("%s (%d) has no form %q:\n%s", s.at, s.status, what, s.text)
	return form{}
}

// send posts a form with some fields filled in, and follows where that leads.
func (b *browser) send(f form, typed map[string]string) sheet {
	b.k.t.Helper()
	values := maps.Clone(f.fields)
	for name, value := range typed {
		values.Set(name, value)
	}
	s := b.ask(b.request(http.MethodPost, f.action, values))
	if strings.HasPrefix(s.to, "/.stepgate/admin") {
		return b.open(s.to)
	}
	return s
}

// events counts the events of a name.
func (k *rig) events(name audit.Name) []audit.Record {
	k.t.Helper()
	records, err := k.db.Events(k.t.Context(), audit.Query{Names: []audit.Name{name}})
	if err != nil {
		k.t.Fatal(err)
	}
	return records
}
