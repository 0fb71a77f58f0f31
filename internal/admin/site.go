package admin

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"net/netip"
	"net/url"
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

// Templates are the package's pages, for web.Kit.Parse under the set "admin".
func Templates() fs.FS {
	sub, err := fs.Sub(embedded, "pages")
	if err != nil {
		panic(err) // the directory is compiled in
	}
	return sub
}

// PageNames are those that Templates must have.
var PageNames = []string{
	"search", "person", "edit", "act", "shown", "key", "caller", "bulk", "report", "import", "organisations", "organisation", "approvals", "trail", "event", "messages", "token",
}

// Door is what the pages ask of the ceremonies.
type Door interface {
	ceremony.Authority
	// Require tells whether v is signed in and meets levels; otherwise it has
	// answered, and the browser comes back to page.
	Require(w http.ResponseWriter, r *http.Request, v *session.Entry, page string, levels ...string) (bool, error)
}

// Store is what the pages read beside what People does, and the ceremony of a
// key.
type Store interface {
	Events(ctx context.Context, q audit.Query) ([]audit.Record, error)
	EventByReference(ctx context.Context, reference string) (audit.Record, error)
	Account(ctx context.Context, id account.ID) (account.Account, error)
	// Usernames has those of the accounts that there are, to be shown: one that
	// several sources have is followed by its source.
	Usernames(ctx context.Context, ids []account.ID) (map[account.ID]string, error)
	OpenTransaction(ctx context.Context, t ceremony.Transaction, now time.Time) (ceremony.Transaction, error)
	SaveTransaction(ctx context.Context, t ceremony.Transaction, now time.Time) error
}

// Recorder keeps audit events.
type Recorder interface {
	Record(ctx context.Context, e audit.Event) error
}

// Messages is what went out by a channel in this calendar month, UTC.
type Messages struct {
	Channel string
	Sent    int
	// Left is how many more there may be, Limit of how many; -1 for no limit.
	Left, Limit int
	// Cost is what they cost together, as the operator's price says; empty
	// where none is given.
	Cost string
}

// Limited tells whether there is an end to them.
func (m Messages) Limited() bool { return m.Limit >= 0 }

// Site is the administrators' pages of one site: its collaborators, all set
// before the first request and only read afterwards.
type Site struct {
	Web      *web.Site
	Pages    *web.Pages
	Guard    *web.Guard
	Place    session.Place
	Sessions *session.Manager
	Door     Door
	People   *people.People
	Store    Store
	Recorder Recorder
	// Ledger and Plan bound how often a caller's code is tried.
	Ledger *throttle.Ledger
	Plan   *throttle.Plan
	// Key enrols security keys; nil where the site has none. RelyingParty and
	// RelyingPartyName scope them.
	Key                            factors.Enroller
	RelyingParty, RelyingPartyName string
	// Address is the client's, as Caddy's trusted_proxies vouch for it.
	Address func(r *http.Request) netip.Addr
	// Where names the place of an address; nil, or empty, where nobody knows.
	Where func(address string) string
	// Explain writes the policy's own account of a decision in lines of text.
	Explain func(raw json.RawMessage) (string, error)
	// Messages tells what went out this month.
	Messages func(ctx context.Context) ([]Messages, error)
	Now      func() time.Time
}

// visit is one request of somebody who may see these pages.
type visit struct {
	*Site
	w http.ResponseWriter
	r *http.Request
	v *session.Entry
	// actor is who asks; role is theirs.
	actor people.Actor
	role  account.Role
	// fields are those of a form that was posted, its token checked.
	fields url.Values
	// file is what was uploaded with it.
	file []byte
}

func (q *visit) ctx() context.Context { return q.r.Context() }
func (q *visit) posted() bool         { return q.r.Method == http.MethodPost }

// query is a value of the address, where forms put what was typed, too.
func (q *visit) query(name string) string {
	return strings.TrimSpace(web.Plainly(q.r.URL.Query().Get(name)))
}

// Handler serves the pages. The path that it is given has the prefix.
func (s *Site) Handler() http.Handler { return s.Pages.Handle(s.Web, s.serve) }

func (s *Site) serve(w http.ResponseWriter, r *http.Request) error {
	path := strings.TrimPrefix(r.URL.Path, s.Web.Path("/admin"))
	if path == "" {
		return web.Redirect(w, r, s.Web, s.Web.Path("/admin/"))
	}
	page, arg := route(path)
	if page == nil {
		return &web.Fail{Status: http.StatusNotFound}
	}
	q, err := s.open(w, r)
	if q == nil {
		return err
	}
	return q.led(page(q, arg))
}

// led leads whoever may find people back to the search, from a page that is not
// there for them.
func (q *visit) led(err error) error {
	var no *web.Fail
	if errors.As(err, &no) && no.Back == "" && (no.Status == http.StatusNotFound || no.Status == http.StatusForbidden) {
		no.Back = q.Web.Path("/admin/")
	}
	return err
}

// open lets in whoever may find people, with a second factor. Without a visit
// and without an error it has answered.
func (s *Site) open(w http.ResponseWriter, r *http.Request) (*visit, error) {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost:
	default:
		return nil, &web.Fail{Status: http.StatusMethodNotAllowed, Allow: "GET, HEAD, POST"}
	}
	v, err := s.Sessions.Find(r.Context(), r.Header, s.Place)
	if v == nil && err == nil {
		err = s.Sessions.Answers(r.Context())
	}
	if err != nil {
		return nil, &web.Fail{Status: http.StatusServiceUnavailable, Err: err}
	}
	q := &visit{Site: s, w: w, r: r, v: v}
	if r.Method == http.MethodPost && v != nil {
		if err := q.read(); err != nil {
			return nil, err
		}
	}
	if on, err := s.Door.Require(w, r, v, here(r), policy.LevelMFA); err != nil || !on {
		return nil, err
	}
	owner := v.Owner.Account
	q.role = owner.Role
	q.actor = people.As(owner).From(people.Origin{
		Site: s.Place.Origin, Address: s.Address(r).String(), UserAgent: r.UserAgent(), Session: string(v.Session.ID),
	})
	if err := s.People.Permit(r.Context(), q.actor, people.ActFind); err != nil {
		return nil, forbidden(err)
	}
	return q, nil
}

// here is the address of the page that was asked for, or that has the form
// that was posted.
func here(r *http.Request) string {
	if r.URL.RawQuery == "" {
		return r.URL.Path
	}
	return r.URL.Path + "?" + r.URL.RawQuery
}

// read takes a form and checks that a page of ours sent it.
func (q *visit) read() error {
	var err error
	if strings.HasPrefix(q.r.Header.Get("Content-Type"), "multipart/") {
		q.fields, q.file, err = web.ReadUpload(q.w, q.r, "table", people.MaxImportBytes)
	} else {
		q.fields, err = web.ReadForm(q.w, q.r, "id")
	}
	if err != nil {
		return err
	}
	return q.Guard.Check(q.r, q.binding())
}

// binding is what form tokens are bound to: the session over all its
// identifiers.
func (q *visit) binding() string { return "session " + string(q.v.Session.ID) }

// forbidden is the answer to whoever may not do what a page does.
func forbidden(err error) error {
	var no *people.Error
	if errors.As(err, &no) && errors.Is(err, people.ErrForbidden) {
		return &web.Fail{Status: http.StatusForbidden, Title: "forbidden.title", Advice: "forbidden.advice", Err: err}
	}
	return err
}

// missing is 404 for whom the actor does not see, and err otherwise.
func missing(err error) error {
	if errors.Is(err, account.ErrNotFound) {
		return &web.Fail{Status: http.StatusNotFound, Title: "missing.title", Advice: "missing.advice", Err: err}
	}
	return forbidden(err)
}

// may tells whether the actor may do something to an account.
func (q *visit) may(act people.Action, subject account.Account) (bool, error) {
	err := q.People.May(q.ctx(), q.actor, act, subject)
	if err == nil {
		return true, nil
	}
	if errors.Is(err, people.ErrForbidden) || errors.Is(err, account.ErrNotFound) {
		return false, nil
	}
	return false, err
}

// permitted tells whether the actor may do something to anybody at all.
func (q *visit) permitted(act people.Action) bool {
	return q.People.Permit(q.ctx(), q.actor, act) == nil
}

// to sends the browser to a page of ours.
func (q *visit) to(path string) error {
	return web.Redirect(q.w, q.r, q.Web, q.Web.Path("/admin"+path))
}

func (q *visit) render(status int, page string, view any) error {
	return q.Pages.Render(q.w, q.r, q.Web, status, page, view)
}
