package challenge

import (
	"context"
	"encoding/base32"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
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
	"github.com/stepgate/stepgate/internal/device"
	"github.com/stepgate/stepgate/internal/kept"
	"github.com/stepgate/stepgate/internal/keys"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/signin"
	"github.com/stepgate/stepgate/internal/store"
	"github.com/stepgate/stepgate/internal/store/sqldb"
	"github.com/stepgate/stepgate/internal/store/storetest"
	"github.com/stepgate/stepgate/internal/throttle"
	"github.com/stepgate/stepgate/internal/web"
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
	db    *sqldb.DB
	file  string
	ring  *keys.Ring
	pages http.Handler
	// crashes keeps what a kill would leave, once it has begun.
	crashes *storetest.Crashes
	*rigClock
}

// rigClock moves when a test says so.
type rigClock struct {
	mu  sync.Mutex
	now time.Time
}

// newRig makes one; change may alter the site before its pages are made.
func newRig(t *testing.T, change func(*rig)) *rig {
	t.Helper()
	k := &rig{t: t, rigClock: &rigClock{now: time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)}}
	dir := t.TempDir()
	var err error
	if k.ring, err = keys.Create(filepath.Join(dir, "stepgate.key"), k.now); err != nil {
		t.Fatal(err)
	}
	k.file = filepath.Join(dir, "stepgate.db")
	k.run(change)
	return k
}

// node is another node of the same cluster: over the same store and keys, with
// nothing else in common.
func (k *rig) node(change func(*rig)) *rig {
	k.t.Helper()
	n := &rig{t: k.t, ring: k.ring, file: k.file, rigClock: k.rigClock}
	n.run(change)
	return n
}

// run opens the store and makes the site.
func (k *rig) run(change func(*rig)) {
	t := k.t
	t.Helper()
	var err error
	k.crashes = storetest.NewCrashes(t, k.file)
	options := sqldb.Options{Ring: k.ring, Chain: audit.NewChain(k.ring), Watch: sqldb.Watch{Took: k.crashes.Took}}
	if k.db, err = sqldb.OpenSQLite(t.Context(), k.file, options); err != nil {
		t.Fatal(err)
	}
	// Moving the clock is no silence of the store.
	sessions := session.NewManager(k.db, k.ring.CookieKeys("session"), session.Limits{Idle: 30 * time.Minute, Absolute: 12 * time.Hour, PublicIdle: device.PublicIdle, Grace: 24 * time.Hour})
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
	k.Site = &Site{
		Place:    session.Place{Origin: rigOrigin, Secure: true, Cookie: session.CookieName(true, "")},
		Sessions: sessions, Store: k.db, Policy: rigPolicy(t), Passwords: []signin.PasswordChecker{rigSource{}},
		Admit: func(ctx context.Context, who signin.Identity) (account.Account, error) {
			return k.db.AccountByUsername(ctx, who.Source, account.FoldUsername(who.Username))
		},
		Ledger: &throttle.Ledger{Store: k.db, Now: k.clock}, Plan: throttle.DefaultPlan(k.ring.MAC), Recorder: recorder, Sealer: k.ring,
		Kept:      &kept.Keeper{Store: k.db, Max: 1 << 20, Now: k.clock},
		Address:   func(*http.Request) netip.Addr { return netip.MustParseAddr("192.0.2.7") },
		Enrolment: EnrolSelf, BindingDelay: 24 * time.Hour, RelyingParty: RelyingParty{"portal.example.gov", "Portal"},
		Now: k.clock,
	}
	k.offer(&totp.Factor{Steps: k.db}, &backupcode.Factor{Store: k.db, Keys: k.ring}, &temporarycode.Factor{Store: k.db, Keys: k.ring})
	k.wireWeb()
	if change != nil {
		change(k)
	}
	k.pages = k.Handler()
}

func (k *rig) wireWeb() {
	k.Web = &web.Site{Name: "Portal", Origin: rigOrigin, SecureCookies: true}
	var err error
	if k.Kit, err = web.New(web.Options{Now: k.clock}); err == nil {
		k.Pages, err = k.Kit.Parse("challenge", Templates(), PageNames...)
	}
	if err != nil {
		k.t.Fatal(err)
	}
	k.Guard = &web.Guard{Site: k.Web, MAC: k.ring.MAC, Verify: k.ring.VerifyMAC, Now: k.clock}
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

func (k *rigClock) clock() time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.now
}

func (k *rigClock) wait(d time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.now = k.now.Add(d)
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

func (k *rig) update(change func(context.Context, store.Tx) error) {
	k.t.Helper()
	if err := k.db.Update(k.t.Context(), func(tx store.Tx) error { return change(k.t.Context(), tx) }); err != nil {
		k.t.Fatal(err)
	}
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
	b.keep(w.Result())
	return w.Result().Header.Get("Location")
}

// answering is a request of the browser for something of the app, and where
// its answer goes.
func (b *browser) answering(target string) (*httptest.ResponseRecorder, *http.Request) {
	return httptest.NewRecorder(), b.request(http.MethodGet, target, nil)
}

// browser keeps cookies, follows links and fills in forms.
type browser struct {
	k       *rig
	cookies map[string]string
}

func (k *rig) browser() *browser { return &browser{k: k, cookies: map[string]string{}} }

// fork is another browser with the same cookies.
func (b *browser) fork() *browser { return &browser{k: b.k, cookies: maps.Clone(b.cookies)} }

func (b *browser) request(method, target string, form url.Values) *http.Request {
	body := ""
	if form != nil {
		body = form.Encode()
	}
	r := httptest.NewRequestWithContext(b.k.t.Context(), method, rigOrigin+target, strings.NewReader(body))
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

// visitor is the browser's session.
func (b *browser) visitor() *session.Entry {
	b.k.t.Helper()
	e, err := b.k.Sessions.Find(b.k.t.Context(), b.request(http.MethodGet, "/", nil).Header, b.k.Place)
	if err != nil {
		b.k.t.Fatal(err)
	}
	return e
}

func (b *browser) keep(answer *http.Response) {
	for _, c := range answer.Cookies() {
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		} else {
			b.cookies[c.Name] = c.Value
		}
	}
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
	return b.follow(b.ask(b.request(http.MethodGet, target, nil), target))
}

// send posts a page's form with some fields filled in.
func (b *browser) send(from sheet, typed map[string]string) sheet {
	b.k.t.Helper()
	form := maps.Clone(from.fields)
	for name, value := range typed {
		form.Set(name, value)
	}
	return b.follow(b.ask(b.request(http.MethodPost, from.action, form), from.action))
}

func (b *browser) follow(s sheet) sheet {
	b.k.t.Helper()
	for range 10 {
		if s.to == "" || !strings.HasPrefix(s.to, b.k.Web.Path("/")) {
			return s
		}
		s = b.ask(b.request(http.MethodGet, s.to, nil), s.to)
	}
	b.k.t.Fatal("more than ten redirects")
	return s
}

func (b *browser) ask(r *http.Request, at string) sheet {
	b.k.t.Helper()
	w := httptest.NewRecorder()
	b.k.pages.ServeHTTP(w, r)
	answer := w.Result()
	b.keep(answer)
	s := sheet{status: answer.StatusCode, at: at, to: answer.Header.Get("Location"), text: w.Body.String(), action: at, fields: url.Values{}}
	document, err := html.Parse(strings.NewReader(s.text))
	if err != nil {
		b.k.t.Fatal(err)
	}
	for n := range document.Descendants() {
		switch name := attribute(n, "name"); {
		case n.Type != html.ElementNode:
		case n.Data == "form" && attribute(n, "action") != "":
			s.action = attribute(n, "action")
		case n.Data == "input" && name != "" && attribute(n, "type") == "hidden":
			s.fields.Set(name, attribute(n, "value"))
		}
	}
	return s
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
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
