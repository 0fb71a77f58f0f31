package watched

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/signin"
	"github.com/stepgate/stepgate/internal/signin/legacyform"
	"github.com/stepgate/stepgate/internal/throttle"
	"github.com/stepgate/stepgate/internal/web"
	"github.com/stepgate/stepgate/internal/weld"
)

// Site is the watched login of one site. Its fields are set before its first
// request and then only read; it is safe for concurrent use.
type Site struct {
	Form *legacyform.Form
	Asker
	// Weld is nil as long as the store is not open: then nothing is known of
	// anybody, and the fields below are nil as well.
	Weld       *weld.Weld
	Turns      *weld.Turns
	Names      Names
	Sessions   *session.Manager
	Ceremonies Ceremonies
	Place      session.Place
	Ledger     *throttle.Ledger
	Recorder   *audit.Recorder

	Gate Gate
	Log  *zap.Logger
	Now  func() time.Time
}

// Names tells which account a name has led to: SameName one that the app gives,
// SameTyped one that was typed into its form.
type Names interface {
	SameName(ctx context.Context, owner account.Account, who signin.Identity) (bool, error)
	SameTyped(ctx context.Context, owner account.Account, typed string) (bool, error)
}

// Ceremonies are what a sign-in means to the gateway.
type Ceremonies interface {
	// SpendTyped charges for a name and a password before the app sees them.
	// Its error is for a page.
	SpendTyped(r *http.Request, username string) (throttle.Receipt, error)
	// TypedInVain writes down that nobody was let in; reason is a kebab code.
	TypedInVain(r *http.Request, reason string) error
	// Enter makes a session of a sign-in, or raises the one that there is.
	// signin.ErrRefused says that there is no account for it.
	Enter(w http.ResponseWriter, r *http.Request, v *session.Entry, who signin.Identity) (*session.Entry, error)
	// Leave ends a session because the person signed out in the app.
	Leave(ctx context.Context, w http.ResponseWriter, r *http.Request, e *session.Entry) error
}

// Gate is what the gate around this step does for it.
type Gate interface {
	// Event begins an audit event about a request of somebody, or of nobody
	// (nil), and Observe keeps one that strangers can cause in any number.
	Event(r *http.Request, name audit.Name, e *session.Entry) audit.Event
	Observe(e audit.Event)
	// Fail answers a request with an error, and writes it down.
	Fail(w http.ResponseWriter, r *http.Request, err error)
	// Withhold takes the gateway's own cookies out of a request's header, and
	// Correct out of an answer's what only the gateway may say.
	Withhold(h http.Header)
	Correct(h http.Header)
}

// Visitor is who a request comes from. The zero value is nobody.
type Visitor struct {
	Entry *session.Entry
	Memo  *Memo // never nil with an entry
}

// Memo is what is remembered of a session's cookies between its requests. The
// zero value is ready; it is safe for concurrent use.
type Memo struct {
	bonds    atomic.Pointer[weld.Bonds]
	welded   atomic.Pointer[weldedLine]
	withheld atomic.Pointer[withheldLine]
	named    atomic.Pointer[string] // what the app calls the session's person
	// confirmFrom is when the app may be asked again about cookies of this
	// session, in unix nanoseconds.
	confirmFrom atomic.Int64
}

func (v Visitor) id() session.ID {
	if v.Entry == nil {
		return ""
	}
	return v.Entry.Session.ID
}

// bonds are the cookies of the visitor's session; nil for nobody.
func (s *Site) bonds(ctx context.Context, v Visitor) (*weld.Bonds, error) {
	if v.Entry == nil {
		return nil, nil
	}
	if known := v.Memo.bonds.Load(); known != nil {
		return known, nil
	}
	return s.readBonds(ctx, v)
}

func (s *Site) readBonds(ctx context.Context, v Visitor) (*weld.Bonds, error) {
	bonds, err := s.Weld.Bonds(ctx, v.id())
	if err == nil {
		v.Memo.bonds.Store(bonds)
	}
	return bonds, err
}

// isVisitor tells whether the app means the visitor: by a name that has led to
// their account before, byte for byte. What it was for is remembered.
func (s *Site) isVisitor(ctx context.Context, v Visitor, who signin.Identity) bool {
	if known := v.Memo.named.Load(); known != nil && *known == who.Username {
		return true
	}
	same, err := s.Names.SameName(ctx, v.Entry.Owner.Account, who)
	if err != nil {
		s.Log.Error("read which account a name has led to", zap.Error(err))
	}
	if same {
		v.Memo.named.Store(&who.Username)
	}
	return same
}

// bind ties values to a session, and ends the sessions that had one of them
// before.
func (s *Site) bind(ctx context.Context, row session.Session, values []weld.Cookie) error {
	others, err := s.Weld.Bind(ctx, row.ID, row.EndsAt, values)
	return errors.Join(err, s.endAll(ctx, others))
}

// regiven ends the sessions that have a value which the app gives somebody
// else in this answer.
func (s *Site) regiven(ctx context.Context, v Visitor, header http.Header) error {
	if header["Set-Cookie"] == nil {
		return nil
	}
	others, err := s.Weld.Holders(ctx, v.id(), s.Form.Cookies().Issued(header, s.Now()))
	return errors.Join(err, s.endAll(ctx, others))
}

func (s *Site) endAll(ctx context.Context, others []session.ID) (err error) {
	for _, id := range others {
		s.Turns.End(id, s.Now().Add(weld.Kept), s.Now())
		err = errors.Join(err, s.Sessions.EndID(ctx, id))
	}
	return err
}

var (
	errForeign = errors.New("a session cookie of the app that belongs to another session")
	errUnknown = errors.New("the site has not started")
)

// refused tells the trail that a request was refused, and gives the reference
// that its page shows.
func (s *Site) refused(r *http.Request, v Visitor, name audit.Name, reason string) string {
	e := s.Gate.Event(r, name, v.Entry)
	e.Outcome, e.Reason = "refused", reason
	s.Gate.Observe(e)
	return e.Reference
}

// waitedInVain is what a person reads whose request did not get its turn.
func waitedInVain(err error) error {
	if errors.Is(err, weld.ErrEnded) {
		return &web.Fail{Status: http.StatusForbidden, Title: "fail.changed.title", Advice: "fail.changed.advice", Err: err}
	}
	return &web.Fail{
		Status: http.StatusServiceUnavailable, Title: "fail.busy.title", Advice: "fail.busy.advice", RetryAfter: weld.Patience / 2, Err: err,
	}
}
