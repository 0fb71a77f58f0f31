package challenge

import (
	"cmp"
	"crypto/rand"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/signin"
	"github.com/stepgate/stepgate/internal/throttle"
	"github.com/stepgate/stepgate/internal/web"
	"github.com/stepgate/stepgate/policy"
)

// signIns is the ceremony of the sign-in: the page, the password, and the
// session that begins.
type signIns struct{ *Site }

// signIn asks for name and password, and begins a session.
func (s signIns) signIn(w http.ResponseWriter, r *http.Request) error {
	v, err := s.visitor(r)
	if err != nil {
		return err
	}
	if r.Method == http.MethodPost {
		return s.signInPost(w, r, v)
	}
	c := s.continuation(r)
	if v != nil {
		return s.dispatch(w, r, v, c)
	}
	if _, err := signin.Heard(r.Context()); err == nil && c.Done == "" {
		return s.signInNamed(w, r, c)
	}
	if s.LoginPage != "" && len(s.Passwords) == 0 {
		return appLogins(s).toLoginPage(w, r, c)
	}
	if only := departures(s).onlyElsewhere(); only != nil && c.ID != frontContinuation && c.Done == "" && r.Method == http.MethodGet {
		return departures(s).depart(w, r, c, only, false)
	}
	return s.signInPage(w, r, v, c, reply{})
}

// reply is what a page of the sign-in says to a form that was sent; nothing for none.
type reply struct {
	status   int
	username string // as it was typed
	errs     []web.FieldError
	place    string // the name of what the browser has put away
}

func (s signIns) signInPage(w http.ResponseWriter, r *http.Request, v *session.Entry, c ceremony.Continuation, to reply) error {
	sealed, err := c.Seal(s.Sealer, s.Place.Origin)
	if err != nil {
		return err
	}
	view := &signInView{View: s.view(w, r, v), Continuation: sealed, Place: rand.Text(), PutAway: to.place}
	view.Errors, view.Values = to.errs, map[string]string{"username": to.username}
	view.Beside = c.Beside
	view.Done, view.Elsewhere, view.Passwords = c.Done, departures(s).elsewhere(), len(s.Passwords) > 0
	view.Domains = departures(s).leading()
	view.Named = len(s.Asserters) > 0 && !view.Asks() && len(view.Elsewhere) == 0
	view.Forgot = s.People != nil && s.Links.Mail()
	if err := passkeys(s).invite(w, r, view); err != nil {
		return err
	}
	return s.Pages.Render(w, r, s.Web, cmp.Or(to.status, http.StatusOK), "sign-in", view)
}

// signInNamed signs in whom the request for the page names.
func (s signIns) signInNamed(w http.ResponseWriter, r *http.Request, c ceremony.Continuation) error {
	entered, err := s.EnterNamed(w, r)
	switch {
	case errors.Is(err, signin.ErrRefused):
		return s.signInPage(w, r, nil, c, reply{status: http.StatusForbidden, errs: []web.FieldError{{Text: "error.named"}}})
	case err != nil:
		return s.unavailable(err)
	}
	return s.dispatch(w, r, entered, c)
}

func (s signIns) signInPost(w http.ResponseWriter, r *http.Request, v *session.Entry) error {
	fields, err := s.signInForm(w, r, v)
	if err != nil {
		return err
	}
	c := s.continuation(r)
	c.Done, c.Beside = "", ""
	if fields["credential"] != "" {
		return passkeys(s).passkeyPost(w, r, v, c, fields)
	}
	if source := departures(s).redirector(fields["source"]); source != nil {
		return departures(s).depart(w, r, c, source, false)
	}
	username, password := fields["username"], account.Secret(fields["password"])
	if source := departures(s).named(username); source != nil {
		return departures(s).departAs(w, r, c, source, signin.Departure{Hint: strings.TrimSpace(username)})
	}
	if errs := s.signInMissing(username, password); errs != nil {
		return s.signInPage(w, r, v, c, reply{status: http.StatusBadRequest, username: username, errs: errs})
	}
	entered, err := s.enter(w, r, v, username, password)
	if errors.Is(err, session.ErrChanged) {
		// The password was changed while it was compared. Compared again it
		// is refused, unless it was only hashed anew by another sign-in.
		entered, err = s.enter(w, r, v, username, password)
	}
	stale := (*staleError)(nil)
	switch {
	case errors.As(err, &stale):
		return stalePasswords(s).begin(w, r, c, username, stale)
	case errors.Is(err, signin.ErrRefused), errors.Is(err, session.ErrChanged):
		s.Recorder.Record(r.Context(), s.signInFailed(r))
		return s.signInPage(w, r, v, c, reply{status: http.StatusForbidden, username: username, errs: []web.FieldError{{Field: "username", Text: refusalText(err)}}})
	case errors.Is(err, throttle.ErrSpent):
		f := (*web.Fail)(nil)
		errors.As(s.tooMany(err), &f)
		web.SetRetryAfter(w.Header(), f.RetryAfter)
		return s.signInPage(w, r, v, c, reply{status: f.Status, username: username, errs: f.Excuse()})
	case err != nil:
		return s.tooMany(err)
	}
	return s.dispatch(w, r, entered, c)
}

// refusalText is the id of what somebody reads who was not let in. More than
// that they were not is told only to who gave the right password.
func refusalText(err error) string {
	if told := (*signin.Refusal)(nil); errors.As(err, &told) {
		return "error.sign-in." + string(told.Reason)
	}
	return "error.sign-in"
}

// enter compares a password and makes a session of it.
func (s signIns) enter(w http.ResponseWriter, r *http.Request, v *session.Entry, username string, password account.Secret) (*session.Entry, error) {
	who, err := s.checkPassword(r, username, password)
	if err != nil {
		return nil, err
	}
	return s.Enter(w, r, v, who)
}

// signInForm reads the form. It may be of a tab that was open before another
// tab signed in: then it is still bound to the browser's visit.
func (s signIns) signInForm(w http.ResponseWriter, r *http.Request, v *session.Entry) (map[string]string, error) {
	fields, err := s.post(w, r, v)
	if err == nil || v == nil || !errors.Is(err, web.ErrToken) {
		return fields, err
	}
	if err := s.Guard.Check(r, s.binding(w, r, nil)); err != nil {
		return nil, err
	}
	return fieldsOf(r.PostForm), nil
}

func (s signIns) signInMissing(username string, password account.Secret) []web.FieldError {
	var errs []web.FieldError
	if account.FoldUsername(username) == "" {
		errs = append(errs, web.FieldError{Field: "username", Text: "error.no-username"})
	} else if len(s.Passwords) == 0 {
		errs = append(errs, web.FieldError{Field: "username", Text: "error.no-domain"})
	}
	if len(password) == 0 && len(s.Passwords) > 0 {
		errs = append(errs, web.FieldError{Field: "password", Text: "error.no-password"})
	}
	return errs
}

// checkPassword spends from the budgets and asks the sources in turn. A name
// that no source knows costs and looks the same as a wrong password (ASVS 5.0
// 6.3.8).
func (s signIns) checkPassword(r *http.Request, username string, password account.Secret) (signin.Identity, error) {
	ctx := r.Context()
	receipt, err := s.Ledger.Spend(ctx, s.Plan.Charges(acquaintances(s).typing(r, username))...)
	if err != nil {
		return signin.Identity{}, err
	}
	refused, broken, compared := signin.ErrRefused, error(nil), false
	for _, source := range s.comparing(username) {
		who, err := source.CheckPassword(ctx, username, password)
		switch {
		case err == nil:
			who.Typed, who.Failed = username, receipt.Failed()
			return who, s.Ledger.Success(ctx, receipt)
		case errors.Is(err, signin.ErrRefused):
			compared = true
			if told := (*signin.Refusal)(nil); errors.As(err, &told) {
				refused = staleOr(source, told)
			}
		default:
			broken = errors.Join(broken, err)
		}
	}
	if stale := (*staleError)(nil); errors.As(refused, &stale) {
		return signin.Identity{}, errors.Join(refused, s.Ledger.Success(ctx, receipt)) // the password was right
	}
	if broken == nil {
		return signin.Identity{}, refused
	}
	if !compared { // else somebody could guess on while one source is down
		broken = errors.Join(broken, s.Ledger.Refund(ctx, receipt))
	}
	return signin.Identity{}, broken
}

// admitSession raises the session of the same person, or begins one.
// account.ErrNotFound says that the account gets none.
func (s signIns) admitSession(w http.ResponseWriter, r *http.Request, v *session.Entry, b session.Beginning) (*session.Entry, error) {
	ctx := r.Context()
	if v != nil && v.Owner.Account.ID == b.Owner && v.Session.SupersededAt.IsZero() {
		raised, err := s.Sessions.Raise(ctx, w, s.Place, v, func(e *session.Session) error {
			e.Tie = b.Tie
			for _, proof := range b.Proofs {
				if err := addProof(proof)(e); err != nil {
					return err
				}
			}
			return nil
		})
		if !errors.Is(err, session.ErrNotFound) {
			return raised, err
		}
	} else if v != nil {
		if err := s.Sessions.End(ctx, w, s.Place, v); err != nil {
			return nil, err
		}
	}
	return s.Sessions.Begin(ctx, w, b)
}

// beginning is a session of an account that these proofs have signed in.
func (s signIns) beginning(r *http.Request, owner account.Account, proofs ...policy.Proof) session.Beginning {
	return session.Beginning{
		Place: s.Place, Owner: owner.ID, Source: owner.Source, Proofs: proofs,
		Address: s.Address(r).String(), UserAgent: r.UserAgent(),
	}
}

// scored is a beginning with its risk, and with the rest of its score. turns
// says that the browser can be given what to show from now on.
func (s signIns) scored(r *http.Request, b session.Beginning, failed int, turns bool) (session.Beginning, Score) {
	if s.Scorer == nil {
		return b, Score{}
	}
	score := s.Scorer.Score(r.Context(), Visit{
		Account: b.Owner, Site: s.Place.Origin, Address: s.Address(r), Browser: acquaintances(s).shown(r, b.Owner), Begins: turns, Failed: failed,
	})
	b.Risk = score.Risk
	if b.Risk == policy.RiskLow.String() {
		s.Scorer.Believe(r.Context(), s.belief(r, b.Owner))
	}
	return b, score
}

// maxProofs bounds what a session remembers. Only proofs for one request each
// can be so many.
const maxProofs = 64

// addProof keeps a proof in place of an older one by the same credential that
// proves no more. Proofs for one request each are left beside; the oldest of
// those goes when there are too many.
func addProof(p policy.Proof) func(*session.Session) error {
	return func(s *session.Session) error {
		left := make([]policy.Proof, 0, len(s.Proofs)+1)
		for _, old := range s.Proofs {
			same := old.Factor == p.Factor && old.Credential == p.Credential && old.Once == p.Once
			if !same || old.UserVerified && !p.UserVerified {
				left = append(left, old)
			}
		}
		if len(left) >= maxProofs {
			if oldest := slices.IndexFunc(left, func(old policy.Proof) bool { return old.Once != "" }); oldest >= 0 {
				left = slices.Delete(left, oldest, oldest+1)
			}
		}
		s.Proofs = append(left, p)
		return nil
	}
}

// signInFailed is the event of a refused sign-in. What was typed may be a
// password in the wrong box, so the event does not have it.
func (s signIns) signInFailed(r *http.Request) audit.Event {
	e := s.event(r, audit.LoginFail, nil)
	e.Factor = string(policy.Password)
	e.Reason = "refused"
	return e
}

// tooMany turns a spent budget into 429 with the time to wait (RFC 6585 §4), and
// a source that is too busy or broken into 503.
func (s *Site) tooMany(err error) error {
	if spent := (*throttle.Spent)(nil); errors.As(err, &spent) {
		return &web.Fail{Status: http.StatusTooManyRequests, RetryAfter: spent.RetryAfter, Advice: adviceOf(spent), Err: err}
	}
	return s.unavailable(err)
}

func adviceOf(spent *throttle.Spent) string {
	if spent.Disabled {
		return "throttled.disabled"
	}
	return "throttled.wait"
}

func (s *Site) unavailable(err error) error {
	return &web.Fail{Status: http.StatusServiceUnavailable, Err: err}
}
