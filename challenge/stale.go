package challenge

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/signin"
	"github.com/stepgate/stepgate/internal/throttle"
	"github.com/stepgate/stepgate/internal/web"
	"github.com/stepgate/stepgate/policy"
)

// stalePasswords is the ceremony of a password that is right and no longer
// good: it has expired, or must be changed before anything else. That is its
// source's rule and none of ours (SP 800-63B-4 §3.1.1.2 knows no expiry). Its page is
// shown to whoever has just given it, and changes it at its source.
type stalePasswords struct{ *Site }

const (
	stalePage    = "/sign-in/new-password"
	stalePurpose = "stale password"
)

// staleError is a refusal that ends once the person has another password.
type staleError struct {
	source  signin.PasswordChanger
	refusal *signin.Refusal
}

func (e *staleError) Error() string { return e.refusal.Error() }

// Unwrap makes it the refusal that it is.
func (e *staleError) Unwrap() error { return e.refusal }

// staleOr is a refusal, as a staleError where its source changes passwords.
func staleOr(source signin.PasswordChecker, told *signin.Refusal) error {
	changer := signin.Changes(source)
	if changer == nil || told.Reason != signin.PasswordExpired && told.Reason != signin.PasswordMustChange {
		return told
	}
	return &staleError{changer, told}
}

// stale is what the page's form carries, sealed: that somebody in this browser
// has given the right password.
type stale struct {
	Source   string        `json:"source"`
	Username string        `json:"username"`
	Reason   signin.Reason `json:"reason"`
	At       time.Time     `json:"at"`
}

func (s stalePasswords) begin(w http.ResponseWriter, r *http.Request, c ceremony.Continuation, username string, why *staleError) error {
	e := signIns(s).signInFailed(r)
	e.Reason = string(why.refusal.Reason)
	if err := s.Recorder.Record(r.Context(), e); err != nil {
		return s.unavailable(err)
	}
	return s.page(w, r, c, stale{Source: why.source.Name(), Username: username, Reason: why.refusal.Reason, At: s.Now().UTC()}, reply{status: http.StatusOK})
}

func (s stalePasswords) page(w http.ResponseWriter, r *http.Request, c ceremony.Continuation, of stale, to reply) error {
	sealed, err := c.Seal(s.Sealer, s.Place.Origin)
	if err != nil {
		return err
	}
	plain, err := json.Marshal(of)
	if err != nil {
		return err
	}
	mark, err := s.Sealer.Seal(stalePurpose, plain, []byte(s.Guard.Visit(w, r)))
	if err != nil {
		return err
	}
	view := &staleView{
		View: s.view(w, r, nil), Continuation: sealed, Stale: base64.RawURLEncoding.EncodeToString(mark), Username: of.Username, Reason: of.Reason,
	}
	view.Errors = to.errs
	return s.Pages.Render(w, r, s.Web, to.status, "stale", view)
}

// read opens the form's mark; false where it is another browser's, too old or
// none.
func (s stalePasswords) read(w http.ResponseWriter, r *http.Request, text string) (of stale, source signin.PasswordChanger) {
	mark, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return of, nil
	}
	plain, err := s.Sealer.Open(stalePurpose, mark, []byte(s.Guard.Visit(w, r)))
	if err != nil || json.Unmarshal(plain, &of) != nil || s.Now().Sub(of.At) > ceremony.TransactionTTL {
		return of, nil
	}
	at := slices.IndexFunc(s.Passwords, func(source signin.PasswordChecker) bool { return source.Name() == of.Source })
	if at < 0 {
		return of, nil
	}
	return of, signin.Changes(s.Passwords[at])
}

// change is the page. Whoever comes to it otherwise goes to the sign-in.
func (s stalePasswords) change(w http.ResponseWriter, r *http.Request) error {
	v, err := s.visitor(r)
	if err != nil {
		return err
	}
	if r.Method != http.MethodPost {
		return s.dispatch(w, r, v, s.continuation(r))
	}
	fields, err := s.post(w, r, nil)
	if err != nil {
		return err
	}
	c := s.continuation(r)
	of, source := s.read(w, r, fields["stale"])
	if source == nil {
		return s.goTo(w, r, "/sign-in", c)
	}
	present, chosen := account.Secret(fields["password"]), account.Secret(fields["new_password"])
	if errs := staleMissing(present, chosen); errs != nil {
		return s.page(w, r, c, of, reply{status: http.StatusBadRequest, errs: errs})
	}
	err = s.replace(r, source, signin.Person{Username: of.Username}, present, chosen)
	switch fail := (*web.Fail)(nil); {
	case errors.Is(err, signin.ErrUnsuitable):
		return s.page(w, r, c, of, reply{status: http.StatusBadRequest, errs: []web.FieldError{{Field: "new_password", Text: "error.unsuitable"}}})
	case errors.Is(err, signin.ErrRefused):
		s.Recorder.Record(r.Context(), signIns(s).signInFailed(r))
		return s.page(w, r, c, of, reply{status: http.StatusForbidden, errs: []web.FieldError{{Field: "password", Text: "error.password"}}})
	case errors.Is(err, throttle.ErrSpent) && errors.As(s.tooMany(err), &fail):
		web.SetRetryAfter(w.Header(), fail.RetryAfter)
		return s.page(w, r, c, of, reply{status: fail.Status, errs: fail.Excuse()})
	case err != nil:
		return s.unavailable(err)
	}
	return s.enterAnew(w, r, &visit{visitor: v, continuation: c}, of.Username, chosen)
}

func staleMissing(present, chosen account.Secret) []web.FieldError {
	var errs []web.FieldError
	if len(present) == 0 {
		errs = append(errs, web.FieldError{Field: "password", Text: "error.no-password"})
	}
	switch {
	case len(chosen) == 0:
		errs = append(errs, web.FieldError{Field: "new_password", Text: "error.no-new-password"})
	case string(chosen.Reveal()) == string(present.Reveal()):
		errs = append(errs, web.FieldError{Field: "new_password", Text: "error.same-password"})
	}
	return errs
}

// replace changes a password at its source, within the budgets of a sign-in.
func (s stalePasswords) replace(r *http.Request, source signin.PasswordChanger, who signin.Person, present, chosen account.Secret) error {
	ctx := r.Context()
	receipt, err := s.Ledger.Spend(ctx, s.Plan.Charges(acquaintances(s).typing(r, who.Username))...)
	if err != nil {
		return err
	}
	err = source.ChangePassword(ctx, who, present, chosen)
	switch {
	case err == nil, errors.Is(err, signin.ErrUnsuitable):
		return errors.Join(err, s.Ledger.Success(ctx, receipt))
	case errors.Is(err, signin.ErrRefused):
		return err
	default:
		return errors.Join(err, s.Ledger.Refund(ctx, receipt))
	}
}

// enterAnew signs the person in with the new password, ends their other
// sessions and tells them of the change. Where the source does not let them in
// with it yet, they sign in once more by themselves.
func (s stalePasswords) enterAnew(w http.ResponseWriter, r *http.Request, at *visit, username string, chosen account.Secret) error {
	c := at.continuation
	v, err := signIns(s).enter(w, r, at.visitor, username, chosen)
	if err != nil {
		s.Report(audit.NewReference(), err)
		c.Done = "done.new-password"
		return s.goTo(w, r, "/sign-in", c)
	}
	if err := s.changed(r, v); err != nil {
		return s.unavailable(err)
	}
	return s.dispatch(w, r, v, c)
}

// changed keeps the event of a password that was changed at its source.
func (s stalePasswords) changed(r *http.Request, v *session.Entry) error {
	e := s.event(r, audit.PasswordChange, v)
	e.Factor, e.Outcome = string(policy.Password), "success"
	messages, err := notices(s).tell(r, v, people.ToldPasswordChanged, account.Credential{})
	if err == nil {
		err = s.Store.Note(r.Context(), e, messages)
	}
	if err != nil {
		return err
	}
	notices(s).sent(messages)
	return s.Sessions.Store.EndAccountSessions(r.Context(), v.Owner.Account.ID, v.Session.ID)
}
