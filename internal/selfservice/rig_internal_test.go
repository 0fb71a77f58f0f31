package selfservice

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/factors/backupcode"
	"github.com/stepgate/stepgate/factors/delivery"
	"github.com/stepgate/stepgate/factors/oob"
	"github.com/stepgate/stepgate/factors/token"
	"github.com/stepgate/stepgate/factors/totp"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/keys"
	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/store"
	"github.com/stepgate/stepgate/internal/store/sqldb"
	"github.com/stepgate/stepgate/internal/throttle"
	"github.com/stepgate/stepgate/internal/web"
	"github.com/stepgate/stepgate/policy"
)

const (
	rigOrigin   = "https://portal.example.gov"
	rigPassword = "the present password"
)

// rig is the pages of one site over a new SQLite store. Whoever is asked to
// prove something has proved it where the test says so (proved).
type rig struct {
	*Site
	t     *testing.T
	db    *sqldb.DB
	pages http.Handler
	mail  *outbox

	mu     sync.Mutex
	now    time.Time
	proved map[string]bool // by Once
	asked  []ceremony.Operation
}

type plainPasswords struct{}

func (plainPasswords) Check(account.Secret, account.Account) error { return nil }

func (plainPasswords) Hash(_ context.Context, p account.Secret) (string, error) {
	return "hash of " + string(p.Reveal()), nil
}

// outbox keeps what is sent.
type outbox struct{ sent []delivery.Message }

func (o *outbox) Send(_ context.Context, m delivery.Message) error {
	o.sent = append(o.sent, m)
	return nil
}

type freeBudget struct{}

func (freeBudget) Spend(context.Context, oob.Spending) (func(context.Context) error, error) {
	return func(context.Context) error { return nil }, nil
}

func (freeBudget) Answered(context.Context, string, account.ID) error { return nil }

func newRig(t *testing.T, config policy.Config) *rig {
	t.Helper()
	k := &rig{t: t, now: time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC), proved: map[string]bool{}, mail: new(outbox)}
	dir := t.TempDir()
	ring, err := keys.Create(filepath.Join(dir, "stepgate.key"), k.now)
	if err != nil {
		t.Fatal(err)
	}
	if k.db, err = sqldb.OpenSQLite(t.Context(), filepath.Join(dir, "stepgate.db"), sqldb.Options{Ring: ring, Chain: audit.NewChain(ring), Now: k.clock}); err != nil {
		t.Fatal(err)
	}
	sessions := session.NewManager(k.db, ring.CookieKeys("session"), session.Limits{Idle: 30 * time.Minute, Absolute: 12 * time.Hour, Grace: 24 * time.Hour})
	sessions.Now = k.clock
	if err := sessions.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		sessions.Close()
		k.db.Close()
	})
	compiled, err := policy.Compile(&config, policy.CompileOptions{})
	if err != nil {
		t.Fatal(err)
	}
	site := &web.Site{Name: "Portal", Origin: rigOrigin, SecureCookies: true}
	kit, err := web.New(web.Options{Now: k.clock})
	if err != nil {
		t.Fatal(err)
	}
	pages, err := kit.Parse("selfservice", Templates(), PageNames...)
	if err != nil {
		t.Fatal(err)
	}
	codes := oob.Options{Codes: k.db, Outbox: k.mail, Budget: freeBudget{}, Keys: ring, Lifetime: 10 * time.Minute}
	registry, err := factors.NewRegistry(&totp.Factor{Steps: k.db}, oob.NewSMS(codes, oob.Numbers{Region: "GB", Countries: []string{"GB"}}), oob.NewEmail(codes), &backupcode.Factor{Store: k.db, Keys: ring})
	if err != nil {
		t.Fatal(err)
	}
	k.Site = &Site{
		Web: site, Pages: pages, Guard: &web.Guard{Site: site, MAC: ring.MAC, Verify: ring.VerifyMAC, Now: k.clock},
		Place: session.Place{Origin: rigOrigin, Secure: true, Cookie: session.CookieName(true, "")}, Sessions: sessions, Store: k.db, Ceremonies: k,
		Self: &people.Self{
			People:  &people.People{Store: store.ForPeople(k.db), Passwords: plainPasswords{}, Tokens: token.Factor{}, Region: "GB", Now: k.clock},
			Notices: &people.Notices{Name: "Portal", Origin: rigOrigin, Offers: func(string) bool { return true }},
		},
		Factors: registry, Policy: compiled, Ledger: &throttle.Ledger{Store: k.db, Now: k.clock}, Plan: throttle.DefaultPlan(ring.MAC), Sealer: ring,
		Address: func(*http.Request) netip.Addr { return netip.MustParseAddr("192.0.2.7") },
		Where:   func(netip.Addr) string { return "Leeds" },
		CheckPassword: func(_ context.Context, _ account.Account, p account.Secret) (bool, error) {
			return string(p.Reveal()) == rigPassword, nil
		},
		Strength: func(account.Secret) string { return "good" },
		Judge: func(p account.Secret, _ account.Account, _ bool) (string, []any) {
			if len(p) < 8 {
				return "error.password.too-short", []any{"min", 8}
			}
			return "", nil
		},
		Now: k.clock,
	}
	k.pages = web.TopLevelOnly(k.Web, k.Handler())
	return k
}

func (k *rig) clock() time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.now
}

// Visitor implements Ceremonies.
func (k *rig) Visitor(r *http.Request) (*session.Entry, error) {
	return k.Sessions.Find(r.Context(), r.Header, k.Place)
}

// Require implements Ceremonies: whoever is not signed in is sent away.
func (k *rig) Require(w http.ResponseWriter, r *http.Request, v *session.Entry, _ string, _ ...string) (bool, error) {
	if v != nil {
		return true, nil
	}
	return false, web.Redirect(w, r, k.Web, k.Web.Path("/sign-in"))
}

// Authorised implements ceremony.Authority.
func (k *rig) Authorised(w http.ResponseWriter, r *http.Request, _ *session.Entry, o ceremony.Operation) (bool, error) {
	k.asked = append(k.asked, o)
	if k.proved[o.Once] {
		return true, nil
	}
	return false, web.Redirect(w, r, k.Web, k.Web.Path("/challenge"))
}

// Spend implements ceremony.Authority.
func (k *rig) Spend(w http.ResponseWriter, r *http.Request, v *session.Entry, o ceremony.Operation) (bool, error) {
	on, err := k.Authorised(w, r, v, o)
	delete(k.proved, o.Once)
	return on, err
}

func (k *rig) update(change func(context.Context, store.Tx) error) {
	k.t.Helper()
	if err := k.db.Update(k.t.Context(), func(tx store.Tx) error { return change(k.t.Context(), tx) }); err != nil {
		k.t.Fatal(err)
	}
}

// person keeps an account with credentials of some factors, which are named
// after them.
func (k *rig) person(name string, kinds ...policy.Factor) account.Account {
	k.t.Helper()
	a := account.Account{
		ID: account.ID(name), Source: account.LocalSource, Subject: name, Username: name, Email: name + "@example.test", Mobile: "+447700900609",
		Organisation: account.DefaultOrganisation, Role: account.RoleUser, CreatedAt: k.clock(),
	}
	k.update(func(ctx context.Context, tx store.Tx) error {
		err := errors.Join(tx.InsertAccount(ctx, a), tx.SetPasswordHash(ctx, a.ID, "hash"))
		for i, f := range kinds {
			err = errors.Join(err, tx.InsertCredential(ctx, account.Credential{
				ID: account.CredentialID(name + "-" + string(f)), Account: a.ID, Factor: string(f), Label: "My " + string(f), Default: i == 0, CreatedAt: k.clock(),
			}))
		}
		return err
	})
	return a
}

// browser is a signed-in browser.
type browser struct {
	k       *rig
	cookies map[string]string
	entry   *session.Entry
}

// browser signs somebody in, with proofs of some factors beside the password.
func (k *rig) browser(a account.Account, kinds ...policy.Factor) *browser {
	k.t.Helper()
	proofs := []policy.Proof{{Factor: policy.Password, At: k.clock()}}
	for _, f := range kinds {
		proofs = append(proofs, policy.Proof{Factor: f, Credential: string(a.ID) + "-" + string(f), At: k.clock()})
	}
	w := httptest.NewRecorder()
	e, err := k.Sessions.Begin(k.t.Context(), w, session.Beginning{
		Place: k.Place, Owner: a.ID, Source: a.Source, Proofs: proofs, Address: "192.0.2.7", UserAgent: "Mozilla/5.0 (Windows NT 10.0) Firefox/130.0",
	})
	if err != nil {
		k.t.Fatal(err)
	}
	b := &browser{k: k, cookies: map[string]string{}, entry: e}
	for _, c := range w.Result().Cookies() {
		b.cookies[c.Name] = c.Value
	}
	return b
}

// sheet is an answer.
type sheet struct {
	status   int
	to, text string
}

func (b *browser) request(method, target string, form url.Values) *http.Request {
	r := httptest.NewRequestWithContext(b.k.t.Context(), method, rigOrigin+target, strings.NewReader(form.Encode()))
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", rigOrigin)
	}
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.Header.Set("Accept", "text/html")
	for name, value := range b.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	return r
}

func (b *browser) do(r *http.Request) sheet {
	w := httptest.NewRecorder()
	b.k.pages.ServeHTTP(w, r)
	return sheet{w.Code, w.Header().Get("Location"), w.Body.String()}
}

func (b *browser) get(page string) sheet {
	return b.do(b.request(http.MethodGet, "/.stepgate/account"+page, nil))
}

// post sends a form with its token.
func (b *browser) post(page string, fields ...string) sheet {
	form := url.Values{"csrf_token": {b.k.Guard.Token(binding(b.entry))}}
	for i := 0; i < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	return b.do(b.request(http.MethodPost, "/.stepgate/account"+page, form))
}

// credentials are the IDs that an account holds.
func (k *rig) credentials(a account.Account) string {
	k.t.Helper()
	held, err := k.db.Credentials(k.t.Context(), a.ID)
	if err != nil {
		k.t.Fatal(err)
	}
	var ids []string
	for _, c := range held {
		ids = append(ids, string(c.ID)+"="+c.Label)
	}
	return strings.Join(ids, " ")
}

func (k *rig) account(id account.ID) account.Account {
	k.t.Helper()
	a, err := k.db.Account(k.t.Context(), id)
	if err != nil {
		k.t.Fatal(err)
	}
	return a
}

// posted takes the subjects of what waits in the store's outbox.
func (k *rig) posted() string {
	k.t.Helper()
	kept, err := k.db.ClaimMessages(k.t.Context(), k.clock().Add(time.Second), k.clock().Add(1000*time.Hour), 100)
	if err != nil {
		k.t.Fatal(err)
	}
	var all []string
	for _, m := range kept {
		all = append(all, m.Channel+" "+m.To+" "+m.Subject)
	}
	return strings.Join(all, "\n")
}

var (
	mfaEverywhere = policy.Config{Default: []string{policy.LevelMFA}}
	signedIn      = policy.Config{Default: []string{policy.LevelSignedIn}}
	withTokens    = policy.Config{
		Default: []string{policy.LevelSignedIn}, Levels: []policy.LevelConfig{{Name: "program", Accept: [][]policy.Factor{{policy.Token}}}},
		Rules: []policy.RuleConfig{{Verb: policy.VerbRequire, Levels: []string{"program"}, Patterns: []string{"/dav/*"}}},
	}
)
