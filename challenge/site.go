package challenge

import (
	"context"
	"embed"
	"io/fs"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/factors/delivery"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/device"
	"github.com/stepgate/stepgate/internal/kept"
	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/signin"
	"github.com/stepgate/stepgate/internal/throttle"
	"github.com/stepgate/stepgate/internal/web"
	"github.com/stepgate/stepgate/policy"
)

//go:embed all:pages
var embedded embed.FS

// Templates are the package's pages, for web.Kit.Parse under the set
// "challenge".
func Templates() fs.FS {
	sub, err := fs.Sub(embedded, "pages")
	if err != nil {
		panic(err) // the directory is compiled in
	}
	return sub
}

// PageNames are those that Templates must have.
var PageNames = []string{
	"sign-in", "choose", "code", "paper", "address", "link", "new-password", "password", "reset", "reset-sent", "secret", "stale", "ceremony", "list", "enrol", "sign-out", "signed-out", "lost", "continue", "over", "window", "stuck", "onward", "leaving", "returned", "pin", "questions", "device", "approval",
}

// Store is what the ceremonies ask of whoever keeps them.
type Store interface {
	ceremony.Store
	// Account reads one; account.ErrNotFound for none.
	Account(ctx context.Context, id account.ID) (account.Account, error)
	// AccountBySubject finds one by its source and that source's own
	// identifier; account.ErrNotFound for none.
	AccountBySubject(ctx context.Context, source, subject string) (account.Account, error)
	// Credentials lists an account's credentials, the default first, then
	// the last used.
	Credentials(ctx context.Context, owner account.ID) ([]account.Credential, error)
	// Events lists what the audit trail has, newest first.
	Events(ctx context.Context, q audit.Query) ([]audit.Record, error)
	// RevokeDevice removes the credential of a private device, ends what the
	// device has open, appends the event and keeps the messages that tell of
	// it, all or nothing;
	// account.ErrNotFound where the account has no such credential.
	RevokeDevice(ctx context.Context, owner account.ID, id account.CredentialID, e audit.Event, messages []delivery.Queued) error
}

// Recorder keeps audit events. An error means that the event is not kept.
type Recorder interface {
	Record(ctx context.Context, e audit.Event) error
	// Observe keeps one soon that strangers can cause in any number, within
	// their budgets.
	Observe(e audit.Event)
}

// Enrolment says who may enrol a first second factor (contract, section 7).
type Enrolment string

// The ways of enrolment.
const (
	EnrolSelf    Enrolment = "self"    // with the sign-in alone
	EnrolContact Enrolment = "contact" // after a code to a known address
	EnrolInvited Enrolment = "invited" // with a temporary code only
)

// RelyingParty scopes WebAuthn credentials and names the portal in an
// authenticator app.
type RelyingParty struct{ ID, Name string }

// Site is the ceremonies of one site: its collaborators, all set before the
// first request and only read afterwards. What is a ceremony's own are methods
// of that ceremony, which has them all by embedding it; Site itself has what
// several share, and what the gate and other rooms ask.
type Site struct {
	Web      *web.Site
	Kit      *web.Kit
	Pages    *web.Pages
	Guard    *web.Guard
	Place    session.Place
	Sessions *session.Manager
	Store    Store
	Factors  *factors.Registry
	// Passwords are the sources that check a name and a password, in the
	// order in which they are asked.
	Passwords []signin.PasswordChecker
	// Redirectors are the sources that the sign-in page leads to.
	Redirectors []signin.Redirector
	// Asserters are the sources that name people at every request.
	Asserters []signin.Asserter
	// Domains are those of the names that a source is for, by its name, folded
	// as DomainOf folds them. A source without any is for all other names.
	Domains map[string][]string
	// LoginPage is the path and query of the app's own login form, where
	// people without a session go. Empty: they go to our own page.
	LoginPage string
	// LoginBox says that it is no form but a box of the browser's.
	LoginBox bool
	// Admit finds the account of who a source says it is, or makes it where
	// the source may. account.ErrNotFound refuses the sign-in.
	Admit func(ctx context.Context, who signin.Identity) (account.Account, error)
	// Shadowed tells whether another account has the username here, so that
	// this one is refused; nil for no such account.
	Shadowed func(ctx context.Context, a account.Account) (bool, error)
	Policy   *policy.Policy
	Ledger   *throttle.Ledger
	Plan     *throttle.Plan
	Recorder Recorder
	Sealer   ceremony.Sealer
	// Kept keeps interrupted requests; its Max of 0 keeps none.
	Kept *kept.Keeper
	// Address is the client's, as Caddy's trusted_proxies vouch for it.
	Address      func(r *http.Request) netip.Addr
	Enrolment    Enrolment
	SignOutAfter bool // after_enrolment sign_out
	// BindingDelay is how long a credential that was added on weaker proofs
	// waits before it counts for what those would not meet.
	BindingDelay time.Duration
	RelyingParty RelyingParty
	// Scorer scores sessions; nil where nothing asks for their risk.
	Scorer Scorer
	// DeviceLife is how long a private device is one. 0: 30 days.
	DeviceLife time.Duration
	// People keeps what comes of invitations and forgotten passwords, which
	// Links sends people to; nil where the site signs no local accounts in.
	People *people.People
	Links  *people.Links
	// Judge tells what is wrong with a password that somebody has chosen: the
	// id of a text with its parameters, "" for nothing. alone says that it
	// will be the only factor.
	Judge func(chosen account.Secret, owner account.Account, alone bool) (text string, args []any)
	// Strength is the word for how strong a password is that Judge lets pass:
	// fair, good or strong.
	Strength func(chosen account.Secret) string
	// Notices writes what people are told of; nil tells nobody.
	Notices *people.Notices
	// Where says in words where an address is, "" where that is not known; nil
	// knows of none.
	Where func(netip.Addr) string
	// Ahead judges a request that v has not made: what it needs, and whether
	// that is more than v has and could be proved beforehand. Nil judges none.
	Ahead func(r *http.Request, v *session.Entry, method, target string) (needs policy.LevelSet, more bool)
	// Report writes to the operator's log what a page does not say, under the
	// reference that the audit trail has.
	Report func(reference string, err error)
	Now    func() time.Time

	assessed assessments
	waiting  waitings
}

// Handler serves the ceremonies' pages below the prefix. The path that it is
// given has no prefix.
func (s *Site) Handler() http.Handler {
	mux := map[string]web.Handler{
		"/sign-in":   signIns{s}.signIn,
		"/challenge": s.choose,
		"/enrol":     enrolments{s}.chooseEnrolment,
		"/sign-out":  signOuts{s}.signOut,
	}
	if len(s.Redirectors) > 0 {
		mux[oidcPath], mux[samlPath], mux[joinPath] = departures{s}.arrive, departures{s}.arrive, departures{s}.arrive
	}
	mux[handOverPath] = joins{s}.handOver
	for _, f := range s.Factors.All() {
		kind := f.Kind()
		mux["/challenge/"+string(kind)] = s.step(kind)
		lists{s}.enrolPages(mux, kind)
	}
	if len(s.Passwords) > 0 {
		mux[stalePage] = stalePasswords{s}.change
	}
	mux["/challenge/"+string(policy.Password)] = passwordProofs{s}.passwordStep
	if s.Factors.Find(policy.PIN) != nil {
		mux[forgottenPage] = forgottenPINs{s}.forgotten
	}
	if s.resident() != nil {
		mux[devicePage], mux[tokenPage] = deviceChoices{s}.chooseDevice, deviceChoices{s}.makeToken
	}
	if s.People != nil {
		mux["/reset-password"] = resets{s}.askForReset
	}
	return s.Pages.Handle(s.Web, func(w http.ResponseWriter, r *http.Request) error {
		path := r.URL.Path[len(s.Web.Path("")):]
		page, ok := mux[path]
		if !ok {
			page, ok = links{s}.linkPage(path)
		}
		if !ok {
			return &web.Fail{Status: http.StatusNotFound}
		}
		switch r.Method {
		case http.MethodGet, http.MethodHead, http.MethodPost:
		default:
			return &web.Fail{Status: http.StatusMethodNotAllowed, Allow: "GET, HEAD, POST"}
		}
		return page(w, r)
	})
}

// visitor finds the session of a request to a page, nil for nobody. A store that does not
// answer is 503.
func (s *Site) visitor(r *http.Request) (*session.Entry, error) {
	e, err := s.Sessions.Find(r.Context(), r.Header, s.Place)
	if err == nil {
		e, err = s.Vouched(r, e)
	}
	if e == nil && err == nil {
		err = s.Sessions.Answers(r.Context())
	}
	if err != nil {
		return nil, &web.Fail{Status: http.StatusServiceUnavailable, Err: err}
	}
	return e, nil
}

// binding is what form tokens are bound to: the session over all its
// identifiers, or the browser's visit.
func (s *Site) binding(w http.ResponseWriter, r *http.Request, v *session.Entry) string {
	if v != nil {
		return "session " + string(v.Session.ID)
	}
	return "visit " + s.Guard.Visit(w, r)
}

// view is the common part of a page for v.
func (s *Site) view(w http.ResponseWriter, r *http.Request, v *session.Entry) web.View {
	view := web.View{CSRF: s.Guard.Token(s.binding(w, r, v))}
	if v != nil {
		view.Account = v.Owner.Account.Username
		view.Public = v.Session.Device == device.Public
	}
	return view
}

// post reads a form and checks that a page of ours sent it (SP 800-63B-4 §5.1:
// what changes something carries a value of the session's).
func (s *Site) post(w http.ResponseWriter, r *http.Request, v *session.Entry) (map[string]string, error) {
	values, err := web.ReadForm(w, r)
	if err != nil {
		return nil, err
	}
	if err := s.Guard.Check(r, s.binding(w, r, v)); err != nil {
		return nil, err
	}
	return fieldsOf(values), nil
}

// fieldsOf takes a form as ReadForm leaves it, with one value a field.
func fieldsOf(values url.Values) map[string]string {
	fields := make(map[string]string, len(values))
	for name := range values {
		fields[name] = values.Get(name)
	}
	return fields
}

// event begins an audit event about a visitor's own doing.
func (s *Site) event(r *http.Request, name audit.Name, v *session.Entry) audit.Event {
	e := audit.Event{
		At: s.Now().UTC(), Name: name, Site: s.Place.Origin,
		Address: s.Address(r).String(), UserAgent: r.UserAgent(),
	}
	if v != nil {
		e.Account = string(v.Owner.Account.ID)
		e.Actor = e.Account
		e.Organisation = v.Owner.Account.Organisation
		e.Session = string(v.Session.ID)
	}
	return e
}
