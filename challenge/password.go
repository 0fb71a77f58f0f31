package challenge

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/signin"
	"github.com/stepgate/stepgate/internal/web"
	"github.com/stepgate/stepgate/policy"
)

// passwordProofs is the ceremony of a password that has to be given again.
type passwordProofs struct{ *Site }

// This file asks for the password again inside a session, where a level names
// it and it was typed too long ago (RFC 9470 §3, max_age), or not for this
// request.

// checker is the source of v's session if it checks passwords, or nil.
func (s passwordProofs) checker(v *session.Entry) signin.PasswordChecker {
	for _, source := range s.Passwords {
		if source.Name() == v.Session.Source {
			return source
		}
	}
	return nil
}

// asksPassword tells whether there is somewhere to type it: our page, the
// app's own login page, or the issuer's. A box of the browser's is none: it
// asks nobody twice.
func (s passwordProofs) asksPassword(v *session.Entry) bool {
	return s.LoginPage != "" && !s.LoginBox || s.checker(v) != nil || departures(s).redirector(v.Session.Source) != nil
}

// passwordStep is the step "password" of a challenge.
func (s passwordProofs) passwordStep(w http.ResponseWriter, r *http.Request) error {
	at, err := s.ready(w, r)
	if at == nil {
		return err
	}
	v, c, fields := at.visitor, at.continuation, at.fields
	held, err := s.holdingsOf(r, v)
	if err != nil {
		return err
	}
	offered := prospects(s).offer(v, c, held)
	if s.satisfied(v, c) || !slices.Contains(offered.factors, policy.Password) {
		return s.dispatch(w, r, v, c)
	}
	k := &walk{s: s.Site, v: v, c: c, page: "/challenge/" + string(policy.Password), others: len(offered.factors) > 1}
	source := s.checker(v)
	switch {
	case source == nil:
		return k.passwordElsewhere(w, r)
	case r.Method != http.MethodPost:
		return k.passwordPage(w, r, http.StatusOK, nil)
	case fields["password"] == "":
		return k.passwordPage(w, r, http.StatusBadRequest, []web.FieldError{{Field: "password", Text: "error.no-password"}})
	}
	k.form = s.formMark(r, v, fields)
	err = k.comparePassword(r, source, account.Secret(fields["password"]))
	switch {
	case errors.Is(err, signin.ErrRefused):
		return k.passwordPage(w, r, http.StatusForbidden, []web.FieldError{{Field: "password", Text: "error.password"}})
	case err != nil && k.stopped(err):
		web.SetRetryAfter(w.Header(), k.fail.RetryAfter)
		return k.passwordPage(w, r, k.fail.Status, k.fail.Excuse())
	case err != nil:
		return s.throttled(err, k.others)
	}
	return k.passwordProved(w, r, policy.Proof{Factor: policy.Password, At: s.Now().UTC()})
}

func (k *walk) passwordPage(w http.ResponseWriter, r *http.Request, status int, errs []web.FieldError) error {
	sealed, err := k.c.Seal(k.s.Sealer, k.s.Place.Origin)
	if err != nil {
		return err
	}
	view := &passwordView{View: k.s.view(w, r, k.v), Continuation: sealed, Purpose: k.s.purposeOf(k.v, k.c), Username: k.v.Owner.Account.Username}
	view.Errors = errs
	if k.others {
		if view.Others, err = k.s.address("/challenge", k.c); err != nil {
			return err
		}
		view.Others += "&" + allField + "=1"
	}
	return k.s.Pages.Render(w, r, k.s.Web, status, "password", view)
}

// comparePassword is signin.ErrRefused for a wrong password, and for one of
// somebody else.
func (k *walk) comparePassword(r *http.Request, source signin.PasswordChecker, password account.Secret) error {
	ctx, s := r.Context(), k.s
	receipt, err := s.Ledger.Spend(ctx, s.Plan.Charges(acquaintances{s}.typing(r, k.v.Owner.Account.Username))...)
	if err != nil {
		return err
	}
	who, err := signin.CheckKnown(ctx, source, k.v.Owner.Account, password)
	if err == nil {
		err = k.samePerson(ctx, who)
	}
	switch {
	case errors.Is(err, signin.ErrRefused):
		e := s.event(r, audit.ChallengeFailed, k.v)
		e.Factor, e.Reason = string(policy.Password), "wrong-answer"
		return errors.Join(err, s.Recorder.Record(ctx, e))
	case err != nil:
		return errors.Join(err, s.Ledger.Refund(ctx, receipt))
	}
	return s.Ledger.Success(ctx, receipt)
}

func (k *walk) samePerson(ctx context.Context, who signin.Identity) error {
	owner, err := k.s.Admit(ctx, who)
	if errors.Is(err, account.ErrNotFound) || err == nil && owner.ID != k.v.Owner.Account.ID {
		return signin.ErrRefused
	}
	return err
}

// passwordElsewhere sends the person to the app's own login page, or to the
// issuer to sign in anew. Who comes back from there for one request alone has
// typed it for that request, if they were sent before they typed it and it was
// spent on no other.
func (k *walk) passwordElsewhere(w http.ResponseWriter, r *http.Request) error {
	if k.s.asksOnce(k.v, k.c) {
		if typed, ok := typedFor(k.v.Session.Proofs, k.c); ok {
			return k.passwordProved(w, r, typed)
		}
	}
	if issuer := (departures{k.s}).redirector(k.v.Session.Source); issuer != nil {
		return departures{k.s}.depart(w, r, k.c, issuer, true)
	}
	return appLogins{k.s}.toLoginPage(w, r, k.c)
}

// typedFor is the sign-in's own proof, if it came after c and has been spent
// on nothing.
func typedFor(proofs []policy.Proof, c ceremony.Continuation) (policy.Proof, bool) {
	at := slices.IndexFunc(proofs, func(p policy.Proof) bool {
		return p.Factor == policy.Password && p.Once == "" && p.At.After(c.At)
	})
	if at < 0 {
		return policy.Proof{}, false
	}
	spent := slices.ContainsFunc(proofs, func(p policy.Proof) bool {
		return p.Factor == policy.Password && p.Once != "" && p.At.Equal(proofs[at].At)
	})
	return proofs[at], !spent
}

func (k *walk) passwordProved(w http.ResponseWriter, r *http.Request, proof policy.Proof) error {
	e := k.s.event(r, audit.ChallengePassed, k.v)
	e.Factor = string(policy.Password)
	if err := k.s.Recorder.Record(r.Context(), e); err != nil {
		return k.s.unavailable(err)
	}
	v, err := k.rise(w, r, proof)
	if err != nil {
		return err
	}
	return k.s.dispatch(w, r, v, k.c)
}
