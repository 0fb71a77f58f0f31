package challenge

import (
	"errors"
	"net/http"
	"slices"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/web"
	"github.com/stepgate/stepgate/policy"
)

// mayEnrol tells whether the visitor may enrol with what their session has
// (contract, section 7): the first second factor with the sign-in alone where
// the site says so. Nobody adds a factor to others with the sign-in alone.
func (s *Site) mayEnrol(held holdings) bool {
	return s.Enrolment == EnrolSelf && !held.second()
}

// chooseEnrolment lists the factors that could be enrolled to get further.
func (s *Site) chooseEnrolment(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return &web.Fail{Status: http.StatusMethodNotAllowed, Allow: "GET, HEAD"}
	}
	v, c, _, on, err := s.ready(w, r)
	if err != nil || !on {
		return err
	}
	kinds, err := s.enrolments(r, v, c)
	if err != nil {
		return err
	}
	switch len(kinds) {
	case 0:
		return s.stuck(w, r, v, c)
	case 1:
		return s.goTo(w, r, "/enrol/"+string(kinds[0]), c)
	}
	view := &chooseView{View: s.view(w, r, v)}
	for _, kind := range kinds {
		href, err := s.address("/enrol/"+string(kind), c)
		if err != nil {
			return err
		}
		view.Ways = append(view.Ways, way{Factor: kind, Href: href})
	}
	return s.Pages.Render(w, r, s.Web, http.StatusOK, "enrol", view)
}

// enrolments lists what the visitor may enrol now for what c needs. A page
// opened by itself, with nothing missing, offers what meets `mfa`.
func (s *Site) enrolments(r *http.Request, v Visitor, c Continuation) ([]policy.Factor, error) {
	held, err := s.held(r.Context(), v.Entry.Owner.Account.ID)
	if err != nil {
		return nil, err
	}
	if !s.mayEnrol(held) {
		return nil, nil
	}
	missing := s.missing(v, c)
	if missing == 0 {
		if missing, err = s.Policy.Required([]string{policy.LevelMFA}); err != nil {
			return nil, err
		}
	}
	return s.enrollable(missing, v, held), nil
}

// stuck is the honest end where no way leads on: the person cannot enrol
// what is needed, or nothing that would do is offered.
func (s *Site) stuck(w http.ResponseWriter, r *http.Request, v Visitor, c Continuation) error {
	missing := s.missing(v, c)
	if missing == 0 {
		return s.resume(w, r, v, c)
	}
	e := s.event(r, audit.SequenceFail, v)
	e.Reference = audit.NewReference()
	e.Levels = s.Policy.LevelNames(missing)
	e.Reason = "no-way-to-meet"
	if err := s.Recorder.Record(r.Context(), e); err != nil {
		return s.unavailable(err)
	}
	view := &stuckView{View: s.view(w, r, v), Reference: e.Reference, Text: "stuck.factor"}
	if s.Enrolment != EnrolSelf {
		view.Text = "stuck." + string(s.Enrolment)
	}
	return s.Pages.Render(w, r, s.Web, http.StatusForbidden, "stuck", view)
}

// enrolStep is the enrolment of one factor: its page, and the answer to it.
func (s *Site) enrolStep(kind policy.Factor) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		v, c, fields, on, err := s.ready(w, r)
		if err != nil || !on {
			return err
		}
		kinds, err := s.enrolments(r, v, c)
		if err != nil {
			return err
		}
		if !slices.Contains(kinds, kind) {
			return s.dispatch(w, r, v, c)
		}
		enroller, _ := s.Factors.Enroller(kind)
		k := &enrolling{walk: walk{
			s: s, v: v, c: c, factor: enroller, page: "/enrol/" + string(kind), purpose: "enrol", others: len(kinds) > 1, typed: fields,
		}, enroller: enroller}
		answer := factors.Answer{Fields: fields}
		if r.Method != http.MethodPost {
			return k.show(w, r, factors.Answer{}, nil)
		}
		if action := fields["action"]; action != "" && action != "verify" {
			return k.show(w, r, answer, nil)
		}
		return k.confirm(w, r, answer)
	}
}

// enrolling is one enrolment step for one visitor, within one request.
type enrolling struct {
	walk
	enroller factors.Enroller
}

// show begins the enrolment, or shows again what was begun.
func (k *enrolling) show(w http.ResponseWriter, r *http.Request, answer factors.Answer, errs []web.FieldError) error {
	ctx := r.Context()
	t, err := k.open(ctx)
	if err != nil {
		return err
	}
	scope := k.s.scope(r, k.v, k.purpose)
	scope.Transaction = t.ID
	prompt, state, err := k.enroller.BeginEnrolment(ctx, scope, k.held, t.State, answer)
	if err != nil {
		if more := answerError(err); more != nil && errs == nil {
			return k.show(w, r, factors.Answer{}, more)
		}
		return k.s.trouble(err)
	}
	if _, err := k.save(ctx, t, state); err != nil {
		return err
	}
	if sends(answer) {
		return k.s.goTo(w, r, k.page, k.c)
	}
	return k.render(w, r, prompt, errs, true)
}

// confirm checks the answer that proves the new credential, keeps it, and
// counts it as proved.
func (k *enrolling) confirm(w http.ResponseWriter, r *http.Request, answer factors.Answer) error {
	ctx := r.Context()
	t, err := k.open(ctx)
	if err != nil {
		return err
	}
	receipt, err := k.spend(r)
	if err != nil {
		return k.s.throttled(err, k.others)
	}
	scope := k.s.scope(r, k.v, k.purpose)
	scope.Transaction = t.ID
	credential, err := k.enroller.ConfirmEnrolment(ctx, scope, k.held, t.State, answer)
	if errs := answerError(err); errs != nil {
		return k.show(w, r, factors.Answer{}, errs)
	}
	if err != nil {
		return k.s.trouble(errors.Join(err, k.s.Ledger.Refund(ctx, receipt)))
	}
	if err := k.s.Ledger.Success(ctx, receipt); err != nil {
		return k.s.unavailable(err)
	}
	return k.keep(w, r, t, credential)
}

// keep stores the credential in the write that ends the transaction.
func (k *enrolling) keep(w http.ResponseWriter, r *http.Request, t Transaction, credential account.Credential) error {
	now := k.s.Now().UTC()
	credential.ID = account.NewCredentialID()
	credential.Account = k.v.Entry.Owner.Account.ID
	credential.Factor = string(k.factor.Kind())
	credential.CreatedAt, credential.LastUsedAt = now, now
	for _, p := range k.v.Entry.Session.Proofs {
		credential.BoundBy = append(credential.BoundBy, string(p.Factor))
	}
	e := k.s.event(r, audit.FactorEnrolled, k.v)
	e.Factor, e.Credential = credential.Factor, string(credential.ID)
	err := k.s.Store.Enrol(r.Context(), Enrolled{Transaction: t.ID, Credential: credential, Event: e}, now)
	if errors.Is(err, ErrTransactionGone) {
		return k.s.dispatch(w, r, k.v, k.c)
	}
	if err != nil {
		return k.s.unavailable(err)
	}
	if k.s.SignOutAfter {
		if err := k.s.Sessions.End(r.Context(), w, k.s.Place, k.v.Entry); err != nil {
			return k.s.unavailable(err)
		}
		return k.s.goTo(w, r, "/sign-in", k.c)
	}
	return k.rise(w, r, proofOf(k.factor.Kind(), factors.Verified{Credential: credential}, now))
}
