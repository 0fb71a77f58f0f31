package selfservice

import (
	"context"
	"embed"
	"io/fs"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/throttle"
	"github.com/stepgate/stepgate/internal/web"
	"github.com/stepgate/stepgate/policy"
)

//go:embed all:pages
var embedded embed.FS

// Templates are the package's pages, for web.Kit.Parse under the set
// "selfservice".
func Templates() fs.FS {
	sub, err := fs.Sub(embedded, "pages")
	if err != nil {
		panic(err) // the directory is compiled in
	}
	return sub
}

// PageNames are those that Templates must have.
var PageNames = []string{"account", "add", "confirm", "rename", "password", "contact", "activity", "not-me", "tokens", "token"}

// Store is what the pages read, and where the proof of an address is under
// way.
type Store interface {
	OpenTransaction(ctx context.Context, t ceremony.Transaction, now time.Time) (ceremony.Transaction, error)
	SaveTransaction(ctx context.Context, t ceremony.Transaction, now time.Time) error
	RedeemTransaction(ctx context.Context, id string, now time.Time) error
	// SessionsOf lists an account's sessions, the newest first.
	SessionsOf(ctx context.Context, owner account.ID, now time.Time) ([]session.Session, error)
	// Events lists what the audit trail has, newest first.
	Events(ctx context.Context, q audit.Query) ([]audit.Record, error)
}

// Ceremonies is what the pages ask of package challenge.
type Ceremonies interface {
	ceremony.Authority
	// Require tells whether v is somebody who meets built-in levels, and
	// otherwise sends the browser to become that, and back to page.
	Require(w http.ResponseWriter, r *http.Request, v *session.Entry, page string, levels ...string) (bool, error)
	// Visitor finds whose request it is, nil for nobody.
	Visitor(r *http.Request) (*session.Entry, error)
}

// Site is the pages of one site: its collaborators, all set before the first
// request and only read afterwards.
type Site struct {
	Web        *web.Site
	Pages      *web.Pages
	Guard      *web.Guard
	Place      session.Place
	Sessions   *session.Manager
	Store      Store
	Ceremonies Ceremonies
	Self       *people.Self
	Factors    *factors.Registry
	Policy     *policy.Policy
	Ledger     *throttle.Ledger
	Plan       *throttle.Plan
	Sealer     ceremony.Sealer
	// Address is the client's, and Where says in words where one is, "" where
	// that is not known.
	Address func(r *http.Request) netip.Addr
	Where   func(netip.Addr) string
	// CheckPassword tells whether a password is the account's; nil where the
	// site signs no local accounts in.
	CheckPassword func(ctx context.Context, owner account.Account, password account.Secret) (bool, error)
	// Elsewhere changes passwords that the gateway does not keep; nil where no
	// source lets people.
	Elsewhere Elsewhere
	// Judge tells what is wrong with a chosen password: the id of a text with
	// its parameters, "" for nothing. alone says that it is the only factor.
	Judge func(chosen account.Secret, owner account.Account, alone bool) (text string, args []any)
	// Strength is the word for how strong a chosen password is: fair, good or
	// strong.
	Strength func(chosen account.Secret) string
	Now      func() time.Time
}

// Handler serves the pages. Paths that it is given have no prefix.
func (s *Site) Handler() http.Handler {
	mux := map[string]func(http.ResponseWriter, *http.Request, *visit) error{
		"":               s.overview,
		"/add":           s.add,
		"/rename":        s.rename,
		"/default":       s.makeDefault,
		"/remove":        s.remove,
		"/two-factor":    s.twoFactor,
		"/password":      s.password,
		"/email":         s.contact(policy.Email),
		"/mobile":        s.contact(policy.SMS),
		"/sessions":      s.endSessions,
		"/browsers":      s.forgetBrowser,
		"/activity":      s.activity,
		"/not-me":        s.notMe,
		"/tokens":        s.tokens,
		"/tokens/new":    s.newToken,
		"/tokens/revoke": s.revokeToken,
	}
	return s.Pages.Handle(s.Web, func(w http.ResponseWriter, r *http.Request) error {
		page, ok := mux[strings.TrimPrefix(r.URL.Path, s.Web.Path(Path))]
		if !ok {
			return &web.Fail{Status: http.StatusNotFound}
		}
		at, err := s.visit(w, r)
		if at == nil {
			return err
		}
		return page(w, r, at)
	})
}

// Path is where the pages are, below the prefix.
const Path = "/account"

// visit is a request of somebody who is signed in.
type visit struct {
	*session.Entry
	// fields are those of a form that was posted, its token checked.
	fields map[string]string
	record people.Record
	own    people.Own
}

// visit finds out whose request it is. Without a visit and without an error it
// has answered: whoever is not signed in, or whose account asks for more, is
// sent there and back.
func (s *Site) visit(w http.ResponseWriter, r *http.Request) (*visit, error) {
	post := r.Method == http.MethodPost
	if !post && r.Method != http.MethodGet && r.Method != http.MethodHead {
		return nil, &web.Fail{Status: http.StatusMethodNotAllowed, Allow: "GET, HEAD, POST"}
	}
	v, err := s.Ceremonies.Visitor(r)
	if err != nil {
		return nil, err
	}
	at := &visit{Entry: v}
	if post {
		if at.fields, err = s.form(w, r, v); err != nil {
			return nil, err
		}
	}
	if post && v != nil && !v.Session.SupersededAt.IsZero() {
		return nil, s.back(w, r, "")
	}
	if on, err := s.Ceremonies.Require(w, r, v, s.here(r), policy.LevelSignedIn); !on {
		return nil, err
	}
	from := people.Whence{Address: s.Address(r).String(), Place: s.where(s.Address(r))}
	at.own = people.Own{Account: v.Owner.Account.ID, Session: v.Session.ID, Site: s.Place.Origin, UserAgent: r.UserAgent(), From: from}
	if at.record, err = s.Self.Record(r.Context(), at.own); err != nil {
		return nil, s.unavailable(err)
	}
	return at, nil
}

// form reads a form and checks that a page of ours sent it. What somebody
// sends who is not signed in any more is read and does nothing.
func (s *Site) form(w http.ResponseWriter, r *http.Request, v *session.Entry) (map[string]string, error) {
	values, err := web.ReadForm(w, r)
	if err != nil || v == nil {
		return nil, err
	}
	if err := s.Guard.Check(r, binding(v)); err != nil {
		return nil, err
	}
	fields := make(map[string]string, len(values))
	for name := range values {
		fields[name] = values.Get(name)
	}
	return fields, nil
}

// binding is what form tokens are bound to: the session, over all its
// identifiers, as the ceremonies' are.
func binding(v *session.Entry) string { return "session " + string(v.Session.ID) }

// here is the page that was asked for, as a path with its query.
func (s *Site) here(r *http.Request) string {
	if r.URL.RawQuery != "" {
		return r.URL.Path + "?" + r.URL.RawQuery
	}
	return r.URL.Path
}

// view is the common part of a page for a visit.
func (s *Site) view(at *visit) web.View {
	return web.View{CSRF: s.Guard.Token(binding(at.Entry)), Account: at.record.Account.Username}
}

// below is view for a page below the account's own.
func (s *Site) below(at *visit) web.View {
	v := s.view(at)
	v.Back = s.Web.Path(Path)
	return v
}

// refusal is why the account cannot be changed like that. It leads back to the
// account: asking again changes nothing.
func (s *Site) refusal(status int, title, advice string) error {
	return &web.Fail{Status: status, Title: title, Advice: advice, Back: s.Web.Path(Path)}
}

// neededStill refuses to take away the last credential with which somebody meets
// a level, and offers to add another.
func (s *Site) neededStill() error {
	return &web.Fail{
		Status: http.StatusConflict, Title: "needed.title", Advice: "needed.advice", Back: s.Web.Path(Path),
		Next: s.Web.Path(Path + "/add"), NextText: "account.add",
	}
}

// back leads to the account's page, which says what has just happened: one of
// dones.
func (s *Site) back(w http.ResponseWriter, r *http.Request, done string) error {
	to := s.Web.Path(Path)
	if done != "" {
		to += "?done=" + done
	}
	return web.Redirect(w, r, s.Web, to)
}

// dones are what can just have happened, each with a text "done.NAME".
var dones = []string{
	"renamed", "default", "removed", "two-factor-on", "two-factor-off", "password", "email", "mobile", "session", "others", "revoked", "browser",
}

func doneOf(r *http.Request) string {
	if done := r.URL.Query().Get("done"); slices.Contains(dones, done) {
		return "done." + done
	}
	return ""
}

// strengthOf is the id of the text for how strong the new password is.
func strengthOf(r *http.Request) string {
	if word := r.URL.Query().Get("strength"); word == "fair" || word == "good" || word == "strong" {
		return "done.strength." + word
	}
	return ""
}

func (s *Site) where(addr netip.Addr) string {
	if s.Where == nil || !addr.IsValid() {
		return ""
	}
	return s.Where(addr)
}

func (s *Site) unavailable(err error) error {
	return &web.Fail{Status: http.StatusServiceUnavailable, Err: err}
}

// applied forgets here what a change has made old, so that the very next page
// is true.
func (s *Site) applied(owner account.ID) {
	s.Sessions.Apply(session.Change{Kind: session.AccountChanged, Key: string(owner)})
}
