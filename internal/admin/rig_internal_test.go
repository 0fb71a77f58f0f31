package admin

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
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
	"github.com/stepgate/stepgate/internal/pagetest"
	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/store"
	"github.com/stepgate/stepgate/internal/store/sqldb"
	"github.com/stepgate/stepgate/internal/throttle"
	"github.com/stepgate/stepgate/internal/web"
	"github.com/stepgate/stepgate/policy"
)

const rigOrigin = "https://admin.example.gov"

// rig is the pages over a new SQLite store, without Caddy and without the
// ceremonies: a door of its own says who has proved what.
type rig struct {
	*Site
	t     testing.TB
	bench *pagetest.Bench
	db    *sqldb.DB
	door  *rigDoor
	pages http.Handler
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
	k := rigOver(t, pagetest.New(t, rigOrigin))
	for _, name := range []string{"north", "south"} {
		if _, err := k.People.AddOrganisation(t.Context(), people.Operator(), name, people.OrganisationRules{}, ""); err != nil {
			t.Fatal(err)
		}
	}
	return k
}

// rigOver makes the pages over a store.
func rigOver(t testing.TB, b *pagetest.Bench) *rig {
	t.Helper()
	k := &rig{t: t, bench: b, db: b.DB, door: &rigDoor{proved: map[string]bool{}, open: true}}
	b.Web.Languages = []string{"en", "cy"}
	p := &people.People{
		Store: store.ForPeople(k.db), Temporary: &temporarycode.Factor{Store: k.db, Keys: b.Ring}, Region: "GB", Now: b.Now, Callers: &people.Callers{MAC: b.Ring.LastingMAC},
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
		// What the key's page loads is an asset of the ceremonies.
		Web: b.Web, Pages: b.Parse("admin", rigFiles{Templates()}, PageNames), Guard: b.Guard, Place: b.Place,
		Sessions: b.Sessions, Door: k.door, People: p, Store: k.db, Recorder: b.Recorder, Ledger: b.Ledger,
		Plan: throttle.DefaultPlan(b.Ring.LastingMAC), Address: pagetest.Address, Now: b.Now,
	}
	k.pages = web.TopLevelOnly(b.Web, k.Handler())
	return k
}

func (k *rig) clock() time.Time { return k.bench.Now() }

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

// browser is one administrator's.
type browser struct {
	*pagetest.Browser
	k *rig
}

// stranger is a browser of nobody, with these cookies.
func (k *rig) stranger(cookies map[string]string) *browser {
	return &browser{&pagetest.Browser{T: k.t, Origin: rigOrigin, Pages: k.pages, Cookies: cookies}, k}
}

// browser signs somebody in, with these factors.
func (k *rig) browser(owner account.Account, factors ...policy.Factor) *browser {
	k.t.Helper()
	b := k.stranger(map[string]string{})
	var proofs []policy.Proof
	for _, f := range factors {
		proofs = append(proofs, policy.Proof{Factor: f, Credential: "c " + string(f), At: k.clock()})
	}
	w := httptest.NewRecorder()
	if _, err := k.Sessions.Begin(k.t.Context(), w, session.Beginning{Place: k.Place, Owner: owner.ID, Source: owner.Source, Proofs: proofs}); err != nil {
		k.t.Fatal(err)
	}
	b.Keep(w.Result())
	return b
}

// administrator makes an account of a role and signs it in with two factors.
func (k *rig) administrator(role account.Role, organisation string) (*browser, account.Account) {
	k.t.Helper()
	a := k.person(people.NewAccount{Username: string(role) + "-" + string(account.NewID())[:6], Role: role, Organisation: organisation})
	return k.browser(a, policy.Password, policy.TOTP), a
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
	answer := b.Ask(r)
	s := sheet{status: answer.Status, at: answer.At, to: answer.To, text: answer.Text, document: answer.Document}
	for n := range s.document.Descendants() {
		if n.Type == html.ElementNode && n.Data == "form" && pagetest.Attribute(n, "action") != "" {
			s.forms = append(s.forms, formOf(n))
		}
	}
	return s
}

func formOf(n *html.Node) form {
	f := form{action: pagetest.Attribute(n, "action"), method: pagetest.Attribute(n, "method"), fields: url.Values{}}
	for c := range n.Descendants() {
		name := pagetest.Attribute(c, "name")
		switch {
		case c.Type != html.ElementNode || name == "":
		case c.Data == "button":
			f.buttons = append(f.buttons, pagetest.Attribute(c, "value"))
		case c.Data == "input" && (pagetest.Attribute(c, "type") == "checkbox" || pagetest.Attribute(c, "type") == "radio"):
		case c.Data == "input":
			f.fields.Add(name, pagetest.Attribute(c, "value"))
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
				return pagetest.Attribute(c, "value")
			}
		}
		if !set {
			first, set = pagetest.Attribute(c, "value"), true
		}
	}
	return first
}

// open follows redirects below the pages' prefix.
func (b *browser) open(target string) sheet {
	b.k.t.Helper()
	for range 5 {
		s := b.ask(b.Request(http.MethodGet, target, nil))
		if !strings.HasPrefix(s.to, "/.stepgate/admin") {
			return s
		}
		target = s.to
	}
	b.k.t.Fatal("more than five redirects")
	return sheet{}
}

// page is the form of the page that has a button, or whose action ends so.
func (s sheet) form(t testing.TB, what string) form {
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
	s := b.ask(b.Request(http.MethodPost, f.action, values))
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
