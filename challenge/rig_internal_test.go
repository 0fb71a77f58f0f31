package challenge

import (
	"context"
	"encoding/base32"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	otp "github.com/pquerna/otp/totp"
	"golang.org/x/net/html"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/factors/backupcode"
	"github.com/stepgate/stepgate/factors/temporarycode"
	"github.com/stepgate/stepgate/factors/totp"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/kept"
	"github.com/stepgate/stepgate/internal/keys"
	"github.com/stepgate/stepgate/internal/pagetest"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/signin"
	"github.com/stepgate/stepgate/internal/store"
	"github.com/stepgate/stepgate/internal/store/sqldb"
	"github.com/stepgate/stepgate/internal/throttle"
	"github.com/stepgate/stepgate/policy"
)

const (
	rigOrigin   = "https://portal.example.gov"
	rigPassword = "correct horse"
)

// rig is the ceremonies of one site over a new SQLite store, without Caddy
// and without a network: whoever has rigPassword is signed in, and time moves
// when a test says so.
type rig struct {
	*Site
	t     *testing.T
	bench *pagetest.Bench
	db    *sqldb.DB
	ring  *keys.Ring
	pages http.Handler
}

// newRig makes one; change may alter the site before its pages are made.
func newRig(t *testing.T, change func(*rig)) *rig {
	t.Helper()
	return rigOver(t, pagetest.New(t, rigOrigin), change)
}

// node is another node of the same cluster: over the same store and keys, with
// nothing else in common.
func (k *rig) node(change func(*rig)) *rig {
	k.t.Helper()
	return rigOver(k.t, k.bench.Node(), change)
}

func rigOver(t *testing.T, b *pagetest.Bench, change func(*rig)) *rig {
	t.Helper()
	k := &rig{t: t, bench: b, db: b.DB, ring: b.Ring}
	k.Site = &Site{
		Place: b.Place, Sessions: b.Sessions, Store: k.db, Policy: rigPolicy(t), Passwords: []signin.PasswordChecker{rigSource{}},
		Admit: func(ctx context.Context, who signin.Identity) (account.Account, error) {
			return k.db.AccountByUsername(ctx, who.Source, account.FoldUsername(who.Username))
		},
		Ledger: b.Ledger, Plan: throttle.DefaultPlan(k.ring.MAC), Recorder: b.Recorder, Sealer: k.ring,
		Kept: &kept.Keeper{Store: k.db, Max: 1 << 20, Now: b.Now}, Address: pagetest.Address,
		Web: b.Web, Kit: b.Kit, Pages: b.Parse("challenge", Templates(), PageNames), Guard: b.Guard,
		Enrolment: EnrolSelf, BindingDelay: 24 * time.Hour, RelyingParty: RelyingParty{"portal.example.gov", "Portal"},
		Now: b.Now,
	}
	k.offer(&totp.Factor{Steps: k.db}, &backupcode.Factor{Store: k.db, Keys: k.ring}, &temporarycode.Factor{Store: k.db, Keys: k.ring})
	if change != nil {
		change(k)
	}
	k.pages = k.Handler()
	return k
}

func (k *rig) clock() time.Time { return k.bench.Now() }

func (k *rig) wait(d time.Duration) { k.bench.Wait(d) }

func (k *rig) update(change func(context.Context, store.Tx) error) {
	k.t.Helper()
	k.bench.Update(change)
}

// offer sets the factors that the site has.
func (k *rig) offer(some ...factors.Factor) {
	k.t.Helper()
	var err error
	if k.Factors, err = factors.NewRegistry(some...); err != nil {
		k.t.Fatal(err)
	}
}

func rigPolicy(t *testing.T) *policy.Policy {
	t.Helper()
	p, err := policy.Compile(&policy.Config{Default: []string{policy.LevelMFA}}, policy.CompileOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// rigSource knows everybody by rigPassword.
type rigSource struct{}

func (rigSource) Name() string { return account.LocalSource }

func (rigSource) CheckPassword(_ context.Context, username string, password account.Secret) (signin.Identity, error) {
	if string(password.Reveal()) != rigPassword {
		return signin.Identity{}, signin.ErrRefused
	}
	return signin.Identity{Source: account.LocalSource, Username: username}, nil
}

// person keeps an account.
func (k *rig) person(name string) account.Account {
	k.t.Helper()
	a := account.Account{
		ID: account.NewID(), Source: account.LocalSource, Subject: name, Username: name, Email: name + "@example.gov", Organisation: account.DefaultOrganisation,
		Role: account.RoleUser, CreatedAt: k.clock(),
	}
	k.update(func(ctx context.Context, tx store.Tx) error { return tx.InsertAccount(ctx, a) })
	return a
}

// rigSeed is the seed of the app of holdsApp.
const rigSeed = "12345678901234567890"

// holdsApp gives somebody an authenticator app.
func (k *rig) holdsApp(a account.Account) account.Credential {
	k.t.Helper()
	c := account.Credential{
		ID: account.NewCredentialID(), Account: a.ID, Factor: "totp", Label: "Phone", Secret: account.Secret(rigSeed), Default: true, CreatedAt: k.clock(),
	}
	k.update(func(ctx context.Context, tx store.Tx) error { return tx.InsertCredential(ctx, c) })
	return c
}

// code is what an app with this seed shows now.
func (k *rig) code(seed []byte) string {
	k.t.Helper()
	code, err := otp.GenerateCode(base32.StdEncoding.EncodeToString(seed), k.clock())
	if err != nil {
		k.t.Fatal(err)
	}
	return code
}

// codeOf is code for a seed as a page shows it.
func (k *rig) codeOf(secret string) string {
	k.t.Helper()
	code, err := otp.GenerateCode(strings.ReplaceAll(secret, " ", ""), k.clock())
	if err != nil {
		k.t.Fatal(err)
	}
	return code
}

// events lists the names of what the audit trail has, oldest first.
func (k *rig) events() []audit.Name {
	k.t.Helper()
	records, err := k.db.Events(k.t.Context(), audit.Query{})
	if err != nil {
		k.t.Fatal(err)
	}
	var names []audit.Name
	for _, r := range slices.Backward(records) {
		names = append(names, r.Event.Name)
	}
	return names
}

// door is where an interrupted GET of a target that needs levels leads.
func (k *rig) door(b *browser, target string, levels ...string) string {
	k.t.Helper()
	needs, err := k.Policy.Required(levels)
	if err != nil {
		k.t.Fatal(err)
	}
	return k.interrupt(b, Interrupted{Target: target, Needs: needs, Names: levels})
}

// doorOnce is door for one of the policy's own levels, which may be one for a
// single request.
func (k *rig) doorOnce(b *browser, target, level string, once bool) string {
	k.t.Helper()
	l, ok := k.Policy.Level(level)
	if !ok {
		k.t.Fatalf("no level %s", level)
	}
	i := Interrupted{Target: target, Needs: l.Set(), Names: []string{level}}
	if once {
		i.Once = "GET " + target
	}
	return k.interrupt(b, i)
}

func (k *rig) interrupt(b *browser, i Interrupted) string {
	k.t.Helper()
	w, r := b.answering(i.Target)
	i.Visitor = b.visitor()
	if err := k.Begin(w, r, i); err != nil {
		k.t.Fatal(err)
	}
	b.Keep(w.Result())
	return w.Result().Header.Get("Location")
}

// answering is a request of the browser for something of the app, and where
// its answer goes.
func (b *browser) answering(target string) (*httptest.ResponseRecorder, *http.Request) {
	return httptest.NewRecorder(), b.Request(http.MethodGet, target, nil)
}

// browser keeps cookies, follows links and fills in forms.
type browser struct {
	*pagetest.Browser
	k *rig
}

func (k *rig) browser() *browser { return k.browserWith(map[string]string{}) }

// browserWith is a browser that has cookies already.
func (k *rig) browserWith(cookies map[string]string) *browser {
	pages := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { k.pages.ServeHTTP(w, r) }) // a test may make others
	return &browser{&pagetest.Browser{T: k.t, Origin: rigOrigin, Pages: pages, Cookies: cookies}, k}
}

// moved is another browser with the same cookies, at a node of the same cluster.
func (b *browser) moved(k *rig) *browser { return k.browserWith(maps.Clone(b.Cookies)) }

// fork is another browser with the same cookies.
func (b *browser) fork() *browser { return b.moved(b.k) }

// visitor is the browser's session.
func (b *browser) visitor() *session.Entry {
	b.k.t.Helper()
	e, err := b.k.Sessions.Find(b.k.t.Context(), b.Request(http.MethodGet, "/", nil).Header, b.k.Place)
	if err != nil {
		b.k.t.Fatal(err)
	}
	return e
}

// sheet is an answer: a page with one form at most, or a redirect.
type sheet struct {
	status int
	// at is the address that it came from, to where a redirect leads.
	at, to string
	text   string
	action string
	fields url.Values
}

// open follows redirects below the pages' prefix, and stops where one leads
// elsewhere.
func (b *browser) open(target string) sheet {
	b.k.t.Helper()
	return b.follow(b.ask(b.Request(http.MethodGet, target, nil)))
}

// send posts a page's form with some fields filled in.
func (b *browser) send(from sheet, typed map[string]string) sheet {
	b.k.t.Helper()
	form := maps.Clone(from.fields)
	for name, value := range typed {
		form.Set(name, value)
	}
	return b.follow(b.ask(b.Request(http.MethodPost, from.action, form)))
}

func (b *browser) follow(s sheet) sheet {
	b.k.t.Helper()
	for range 10 {
		if s.to == "" || !strings.HasPrefix(s.to, b.k.Web.Path("/")) {
			return s
		}
		s = b.ask(b.Request(http.MethodGet, s.to, nil))
	}
	b.k.t.Fatal("more than ten redirects")
	return s
}

func (b *browser) ask(r *http.Request) sheet {
	b.k.t.Helper()
	answer := b.Ask(r)
	s := sheet{status: answer.Status, at: answer.At, to: answer.To, text: answer.Text, action: answer.At, fields: url.Values{}}
	for n := range answer.Document.Descendants() {
		switch name := pagetest.Attribute(n, "name"); {
		case n.Type != html.ElementNode:
		case n.Data == "form" && pagetest.Attribute(n, "action") != "":
			s.action = pagetest.Attribute(n, "action")
		case n.Data == "input" && name != "" && pagetest.Attribute(n, "type") == "hidden":
			s.fields.Set(name, pagetest.Attribute(n, "value"))
		}
	}
	return s
}

// signIn signs somebody in at a page, and gives where that leads.
func (b *browser) signIn(at, username string) sheet {
	b.k.t.Helper()
	return b.send(b.open(at), map[string]string{"username": username, "password": rigPassword})
}

// stepUp signs somebody with an app in, with both proofs.
func (b *browser) stepUp(username string) {
	b.k.t.Helper()
	s := b.send(b.signIn(b.k.door(b, "/x", policy.LevelMFA), username), map[string]string{"code": b.k.code([]byte(rigSeed))})
	if s.to != "/x" {
		b.k.t.Fatalf("after the right code: %d to %q\n%s", s.status, s.to, s.text)
	}
}

var errBroken = errors.New("the store is broken")

// brokenTransactions is a store that does not answer about transactions.
type brokenTransactions struct{ Store }

func (brokenTransactions) Transaction(context.Context, string, time.Time) (ceremony.Transaction, error) {
	return ceremony.Transaction{}, errBroken
}

func (brokenTransactions) RedeemTransaction(context.Context, string, time.Time) error {
	return errBroken
}
