package authenticator

import (
	"context"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/factors/approval"
	"github.com/stepgate/stepgate/factors/delivery"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/internal/push"
	"github.com/stepgate/stepgate/policy"
)

// Store is what the app's endpoints ask of whoever keeps things; package store
// says what each does.
type Store interface {
	factors.CredentialStore
	Account(ctx context.Context, id account.ID) (account.Account, error)
	Accounts(ctx context.Context, f account.Filter) ([]account.Account, error)
	Credentials(ctx context.Context, owner account.ID) ([]account.Credential, error)
	CredentialByHandle(ctx context.Context, handle string) (account.Credential, error)
	Transaction(ctx context.Context, id string, now time.Time) (ceremony.Transaction, error)
	SaveTransaction(ctx context.Context, t ceremony.Transaction, now time.Time) error
	Approval(ctx context.Context, id string) (approval.Request, error)
	OpenApprovals(ctx context.Context, owner account.ID, now time.Time) ([]approval.Request, error)
	AnswerApproval(ctx context.Context, id string, by account.CredentialID, now time.Time, answer func(*account.Credential, *approval.Request) (audit.Event, []delivery.Queued, error)) error
	RevokeDevice(ctx context.Context, owner account.ID, id account.CredentialID, e audit.Event, messages []delivery.Queued) error
}

// Server answers the app. Its fields are set before the first request.
type Server struct {
	Store Store
	// Origin is that of the app.
	Origin string
	// SiteName is how a site is called, by its origin.
	SiteName func(origin string) string
	// Notices are the words of a site, by its origin; nil tells nobody.
	Notices func(origin string) *people.Notices
	// Push tells phones; nil tells none.
	Push *push.Sender
	// Address is the client's, as Caddy's trusted_proxies vouch for it, and
	// Where says in words where that is.
	Address func(r *http.Request) netip.Addr
	Where   func(netip.Addr) string
	// Report writes an error to the operator's log under a reference.
	Report func(reference string, err error)
	Now    func() time.Time

	streams streams
}

// Stop waits, for a moment at most, for phones that are being told, and has none
// told from then on. It is called once.
func (s *Server) Stop() {
	if s.Push != nil {
		s.Push.Stop()
	}
}

// fault is an error that the app has words for.
type fault struct {
	status int
	word   string
}

func (f *fault) Error() string { return "authenticator: " + f.word }

var (
	errBad      = &fault{http.StatusBadRequest, "bad-request"}
	errForeign  = &fault{http.StatusForbidden, "other-origin"}
	errNotFound = &fault{http.StatusNotFound, "not-found"}
	errTicket   = &fault{http.StatusGone, "ticket"}
	errUnpaired = &fault{http.StatusUnauthorized, "unpaired"}
	errGone     = &fault{http.StatusGone, "gone"}
	errMany     = &fault{http.StatusTooManyRequests, "many"}
	errEndpoint = &fault{http.StatusUnprocessableEntity, "endpoint"}
)

// maxBody bounds what the app sends, in bytes.
const maxBody = 16 << 10

// Handler serves what is below /api/.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("POST /api/pair", answers(s, s.invite))
	mux.Handle("POST /api/pair/offer", answers(s, s.offer))
	mux.Handle("POST /api/requests", answers(s, s.requests))
	mux.Handle("POST /api/approve", answers(s, s.approve))
	mux.Handle("POST /api/deny", answers(s, s.deny))
	mux.Handle("POST /api/subscription", answers(s, s.subscribe))
	mux.HandleFunc("GET /api/events", s.events)
	mux.HandleFunc("/api/", func(w http.ResponseWriter, r *http.Request) { s.fail(w, errNotFound) })
	return mux
}

// answers makes an endpoint: JSON in, JSON out.
func answers[In, Out any](s *Server, do func(r *http.Request, in In) (Out, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		in, err := read[In](w, r)
		if err != nil {
			s.fail(w, err)
			return
		}
		out, err := do(r, in)
		if err != nil {
			s.fail(w, err)
			return
		}
		s.write(w, http.StatusOK, out)
	})
}

// read takes a request of the app alone: a form of another site can neither
// have this type nor say that it comes from here.
func read[In any](w http.ResponseWriter, r *http.Request) (in In, err error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return in, errBad
	}
	if !own(r) {
		return in, errForeign
	}
	if json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&in) != nil {
		return in, errBad
	}
	return in, nil
}

// own tells whether a request is the app's, as far as the browser says.
func own(r *http.Request) bool {
	from := r.Header.Get("Sec-Fetch-Site")
	return from == "" || from == "same-origin"
}

func (s *Server) write(w http.ResponseWriter, status int, out any) {
	body, err := json.Marshal(out)
	if err != nil {
		body, status = []byte(`{"error":"trouble"}`), http.StatusInternalServerError
	}
	harden(w.Header())
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	w.Write(append(body, '\n'))
}

func (s *Server) fail(w http.ResponseWriter, err error) {
	known := (*fault)(nil)
	if errors.As(err, &known) {
		s.write(w, known.status, map[string]string{"error": known.word})
		return
	}
	reference := audit.NewReference()
	s.Report(reference, err)
	s.write(w, http.StatusServiceUnavailable, map[string]string{"error": "trouble", "reference": reference})
}

// phone is who asks: a paired phone and whose it is.
type phone struct {
	account.Credential
	owner account.Account
}

// phoneOf finds the phone of a request by its bearer secret. One that has not
// been confirmed yet, or was revoked, is none.
func (s *Server) phoneOf(r *http.Request) (phone, error) {
	bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok || len(bearer) > 100 {
		return phone{}, errUnpaired
	}
	c, err := s.Store.CredentialByHandle(r.Context(), approval.Handle(bearer))
	if errors.Is(err, account.ErrNotFound) || err == nil && c.Factor != string(policy.Approval) {
		return phone{}, errUnpaired
	}
	if err != nil {
		return phone{}, err
	}
	owner, err := s.Store.Account(r.Context(), c.Account)
	if errors.Is(err, account.ErrNotFound) || err == nil && owner.Suspended() {
		return phone{}, errUnpaired
	}
	return phone{c, owner}, err
}

// event begins an audit event about what a phone did.
func (s *Server) event(r *http.Request, name audit.Name, p phone, q approval.Request) audit.Event {
	return audit.Event{
		At: s.Now().UTC(), Name: name, Account: string(p.owner.ID), Actor: string(p.owner.ID), Organisation: p.owner.Organisation,
		Session: q.Session, Site: q.Site, Factor: p.Factor, Credential: string(p.ID), Address: s.Address(r).String(), UserAgent: r.UserAgent(),
	}
}

// streams counts the event streams of phones.
type streams struct {
	mu  sync.Mutex
	all map[account.CredentialID]int
}

// maxStreams is how many event streams one phone has open at once.
const maxStreams = 3

func (a *streams) begin(id account.CredentialID) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.all[id] >= maxStreams {
		return false
	}
	if a.all == nil {
		a.all = map[account.CredentialID]int{}
	}
	a.all[id]++
	return true
}

func (a *streams) end(id account.CredentialID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.all[id]--; a.all[id] <= 0 {
		delete(a.all, id)
	}
}
