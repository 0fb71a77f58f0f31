package selfservice

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/factors/backupcode"
	"github.com/stepgate/stepgate/factors/delivery"
	"github.com/stepgate/stepgate/factors/oob"
	"github.com/stepgate/stepgate/factors/token"
	"github.com/stepgate/stepgate/factors/totp"
	"github.com/stepgate/stepgate/internal/account"
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

const (
	rigOrigin   = "https://portal.example.gov"
	rigPassword = "the present password"
)

// rig is the pages of one site over a new SQLite store. Whoever is asked to
// prove something has proved it where the test says so (proved).
type rig struct {
	*Site
	t      *testing.T
	bench  *pagetest.Bench
	db     *sqldb.DB
	pages  http.Handler
	mail   *outbox
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
	b := pagetest.New(t, rigOrigin)
	k := &rig{t: t, bench: b, db: b.DB, proved: map[string]bool{}, mail: new(outbox)}
	compiled, err := policy.Compile(&config, policy.CompileOptions{})
	if err != nil {
		t.Fatal(err)
	}
	codes := oob.Options{Codes: k.db, Outbox: k.mail, Budget: freeBudget{}, Keys: b.Ring, Lifetime: 10 * time.Minute}
	registry, err := factors.NewRegistry(&totp.Factor{Steps: k.db}, oob.NewSMS(codes, oob.Numbers{Region: "GB", Countries: []string{"GB"}}), oob.NewEmail(codes), &backupcode.Factor{Store: k.db, Keys: b.Ring})
	if err != nil {
		t.Fatal(err)
	}
	k.Site = &Site{
		Web: b.Web, Pages: b.Parse("selfservice", Templates(), PageNames), Guard: b.Guard, Place: b.Place, Sessions: b.Sessions, Store: k.db, Ceremonies: k,
		Self: &people.Self{
			People:  &people.People{Store: store.ForPeople(k.db), Passwords: plainPasswords{}, Tokens: token.Factor{}, Region: "GB", Now: k.clock},
			Notices: &people.Notices{Name: "Portal", Origin: rigOrigin, Offers: func(string) bool { return true }},
		},
		Factors: registry, Policy: compiled, Ledger: b.Ledger, Plan: throttle.DefaultPlan(b.Ring.MAC), Sealer: b.Ring,
		Address: pagetest.Address,
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

func (k *rig) clock() time.Time { return k.bench.Now() }

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
	k.bench.Update(change)
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
	*pagetest.Browser
	k     *rig
	entry *session.Entry
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
	b := &browser{&pagetest.Browser{T: k.t, Origin: rigOrigin, Pages: k.pages, Cookies: map[string]string{}}, k, e}
	b.Keep(w.Result())
	return b
}

// sheet is an answer.
type sheet struct {
	status   int
	to, text string
}

func (b *browser) do(r *http.Request) sheet {
	answer := b.Ask(r)
	return sheet{answer.Status, answer.To, answer.Text}
}

func (b *browser) get(page string) sheet {
	return b.do(b.Request(http.MethodGet, "/.stepgate/account"+page, nil))
}

// post sends a form with its token.
func (b *browser) post(page string, fields ...string) sheet {
	form := url.Values{"csrf_token": {b.k.Guard.Token(binding(b.entry))}}
	for i := 0; i < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	return b.do(b.Request(http.MethodPost, "/.stepgate/account"+page, form))
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
