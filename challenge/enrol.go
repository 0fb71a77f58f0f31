package challenge

import (
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/web"
	"github.com/stepgate/stepgate/policy"
)

// enrolments is the ceremony that makes a credential: what somebody may enrol,
// on what authority, and the steps of it.
type enrolments struct{ *Site }

// chooseEnrolment lists the factors that could be enrolled to get further.
func (s enrolments) chooseEnrolment(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return &web.Fail{Status: http.StatusMethodNotAllowed, Allow: "GET, HEAD"}
	}
	at, err := s.ready(w, r)
	if at == nil {
		return err
	}
	v, c := at.visitor, at.continuation
	if c.Kind == ceremony.Operate {
		return s.dispatch(w, r, v, c)
	}
	kinds, err := s.possible(r, v, c)
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

// possible lists what the visitor may enrol for what c needs, now or after
// a proof. A page opened by itself, with nothing missing, offers what meets
// `mfa`.
func (s enrolments) possible(r *http.Request, v *session.Entry, c ceremony.Continuation) ([]policy.Factor, error) {
	held, err := s.holdingsOf(r, v)
	if err != nil {
		return nil, err
	}
	if g := s.grant(v, c, held, ""); !g.allowed && !g.provable {
		return nil, nil
	}
	missing := s.missing(v, c)
	if missing == 0 {
		if missing, err = s.Policy.Required([]string{policy.LevelMFA}); err != nil {
			return nil, err
		}
	}
	return prospects(s).enrollable(missing, v, c, held), nil
}

// stuck is the honest end where no way leads on: the person cannot enrol
// what is needed, or nothing that would do is offered.
func (s enrolments) stuck(w http.ResponseWriter, r *http.Request, v *session.Entry, c ceremony.Continuation) error {
	if s.satisfied(v, c) {
		return s.resume(w, r, v, c)
	}
	held, err := s.holdingsOf(r, v)
	if err != nil {
		return err
	}
	e := s.event(r, audit.SequenceFail, v)
	e.Reference = audit.NewReference()
	e.Reason = "no-way-to-meet"
	if c.Kind != ceremony.Operate {
		e.Levels = s.Policy.LevelNames(s.missing(v, c))
	}
	if err := s.Recorder.Record(r.Context(), e); err != nil {
		return s.unavailable(err)
	}
	view := &stuckView{View: s.view(w, r, v), Reference: e.Reference}
	view.Text, view.From = s.whyStuck(v, c, held)
	if view.Text == "stuck.self" {
		view.Enrol = s.Web.Path("/enrol")
	}
	return s.Pages.Render(w, r, s.Web, http.StatusForbidden, "stuck", view)
}

// whyStuck gives the id of the text that says why no way leads on, and from
// when a credential that is held will count, if that is why.
func (s enrolments) whyStuck(v *session.Entry, c ceremony.Continuation, held holdings) (text string, from time.Time) {
	switch {
	case c.Kind != ceremony.Operate && s.signsInAnew(v, c) && s.LoginBox:
		return "stuck.box", time.Time{}
	case c.Kind != ceremony.Operate && s.signsInAnew(v, c):
		return "stuck.named", time.Time{}
	case c.Kind != ceremony.Operate && s.typesEachTime(v, c):
		return "stuck.once", time.Time{}
	case c.Kind == ceremony.Operate && held.second():
		return "stuck.operation", time.Time{}
	case c.Kind == ceremony.Operate || !held.second() && s.enrolment(v) != EnrolSelf:
		return "stuck." + string(s.enrolment(v)), time.Time{}
	}
	for _, way := range prospects(s).ways(s.missing(v, c), v, c) {
		for _, f := range way {
			for _, own := range held.usable[f] {
				if own.CountsFrom.After(s.Now()) && (from.IsZero() || own.CountsFrom.Before(from)) {
					from = own.CountsFrom
				}
			}
		}
	}
	if !from.IsZero() {
		return "stuck.waiting", from
	}
	return "stuck.factor", time.Time{}
}

// signsInAnew tells whether it is a new sign-in that is missing, of somebody whom
// nobody here can ask for one: somebody before the gateway lets them in.
func (s enrolments) signsInAnew(v *session.Entry, c ceremony.Continuation) bool {
	if passwordProofs(s).asksPassword(v) {
		return false
	}
	proofs := append(proofsFor(v, c), policy.Proof{Factor: policy.Password, At: s.Now().UTC()})
	return s.missing(v, c)&^s.Policy.MetOnce(c.Needs, proofs, true, s.Now(), c.Once) == 0
}

// typesEachTime tells whether the password is missing for this request alone, of
// somebody whom nobody here can ask for it.
func (s enrolments) typesEachTime(v *session.Entry, c ceremony.Continuation) bool {
	if passwordProofs(s).asksPassword(v) || !s.asksOnce(v, c) {
		return false
	}
	return !slices.ContainsFunc(prospects(s).ways(s.missing(v, c), v, c), func(way []policy.Factor) bool {
		return !slices.Contains(way, policy.Password)
	})
}

// enrolStep is the enrolment of one factor: its page, and the answer to it.
func (s enrolments) enrolStep(kind policy.Factor) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		at, err := s.ready(w, r)
		if at == nil {
			return err
		}
		v, c, fields := at.visitor, at.continuation, at.fields
		if c.Kind == ceremony.Operate || c.Kind != ceremony.Add && c.ID != frontContinuation && s.satisfied(v, c) {
			return s.dispatch(w, r, v, c) // no enrolment's, or one that is done
		}
		enroller, _ := s.Factors.Enroller(kind)
		k := &enrolling{walk: walk{
			s: s.Site, v: v, c: c, factor: enroller, page: "/enrol/" + string(kind), purpose: "enrol", typed: fields,
		}, enroller: enroller}
		if on, err := k.begin(w, r); err != nil || !on {
			return err
		}
		answer := factors.Answer{Fields: fields}
		if r.Method != http.MethodPost {
			return k.show(w, r, factors.Answer{}, nil)
		}
		if action := fields["action"]; action != "" && action != "verify" {
			return k.show(w, r, answer, nil)
		}
		k.form = s.formMark(r, v, fields)
		return k.confirm(w, r, answer)
	}
}

// enrolling is one enrolment step for one visitor, within one request.
type enrolling struct {
	walk
	enroller factors.Enroller
	grant    grant
	once     string
	// sole says that what is enrolled replaces what there was.
	sole bool
}

// begin finds out on what authority the credential may be added, and tells
// whether the handler goes on: the person may have to prove that they may.
func (k *enrolling) begin(w http.ResponseWriter, r *http.Request) (on bool, err error) {
	held, err := k.s.holdingsOf(r, k.v)
	if err != nil {
		return false, err
	}
	t, err := k.open(r.Context())
	if err != nil {
		return false, err
	}
	operation := "operation.enrol." + string(k.factor.Kind())
	k.held, k.once = held.all[k.factor.Kind()], "enrol "+t.ID
	walked := k.walked()
	if walked {
		k.once, operation = "enrol "+k.c.ID, "operation.enrol.level"
	}
	if k.grant = (enrolments{k.s}).grant(k.v, k.c, held, k.once); k.replaces() {
		// Whoever changes what they know proves something that they hold,
		// however the first of it came about.
		k.sole, k.held, k.grant = true, nil, enrolments{k.s}.laterGrant(k.v, k.once)
	}
	switch {
	case k.grant.allowed:
		k.grant.lifted = k.grant.lifted || walked
		kinds, err := enrolments{k.s}.possible(r, k.v, k.c)
		k.others = len(kinds) > 1
		return true, err
	case !k.grant.provable:
		return false, enrolments{k.s}.stuck(w, r, k.v, ceremony.Continuation{Kind: ceremony.Operate, Once: k.once})
	}
	page, err := k.s.address(k.page, k.c)
	if err != nil {
		return false, err
	}
	return false, operations{k.s}.ask(w, r, k.v, ceremony.Operation{Once: k.once, Text: operation, Page: page})
}

// walked tells whether this is the account's first PIN, or its first questions,
// and a level that the request lacks walks through them (`enrol`). Who holds a
// second factor already, as everybody who has registered does, proves it once
// for the whole walk. What they know then counts at once: it counts nowhere
// else, and to wait a day at the first visit would say no more than a code to
// the number on an account does, which lets people without a factor enrol.
func (k *enrolling) walked() bool {
	kind := k.factor.Kind()
	return kind.Knowledge() && len(k.held) == 0 && slices.Contains(prospects{k.s}.walkedThrough(k.s.missing(k.v, k.c)), kind)
}

// replaces tells whether the enrolment puts a new secret in the place of the
// one that there is: of a PIN, and of security questions, people have one.
func (k *enrolling) replaces() bool { return len(k.held) > 0 && k.factor.Kind().Knowledge() }

// show begins the enrolment, or shows again what was begun.
func (k *enrolling) show(w http.ResponseWriter, r *http.Request, answer factors.Answer, errs []web.FieldError) error {
	ctx := r.Context()
	t, err := k.open(ctx)
	if err != nil {
		return err
	}
	scope := k.scope(r, t)
	prompt, state, err := k.enroller.BeginEnrolment(ctx, scope, k.held, t.State, answer)
	if err != nil {
		if more := answerError(k.factor.Kind(), err); more != nil && errs == nil {
			return k.show(w, r, factors.Answer{}, more)
		}
		if sends(answer) && k.excuse(err) {
			return k.show(w, r, factors.Answer{}, nil)
		}
		return k.s.trouble(err)
	}
	if _, err := k.save(ctx, t, state); err != nil {
		return err
	}
	if sends(answer) {
		return k.s.goTo(w, r, k.page, k.c)
	}
	if k.mayMakeToken() {
		if prompt.Options, err = (deviceChoices{k.s}).inviteToken(r, k.v); err != nil {
			return err
		}
	}
	return k.render(w, r, prompt, errs, true)
}

// mayMakeToken tells whether the page is that of a PIN and a choice of the
// device is to follow: a private one gets its token from this very form.
func (k *enrolling) mayMakeToken() bool {
	return k.factor.Kind() == policy.PIN && deviceChoices{k.s}.asksDevice(k.v, k.c)
}

// confirm checks the answer that proves the new credential, keeps it, and
// counts it as proved.
func (k *enrolling) confirm(w http.ResponseWriter, r *http.Request, answer factors.Answer) error {
	ctx := r.Context()
	t, err := k.open(ctx)
	if err != nil {
		return err
	}
	a, err := k.attempt(r, t)
	if err != nil {
		return err
	}
	if k.fail != nil {
		return k.show(w, r, factors.Answer{}, nil)
	}
	credential, err := k.enroller.ConfirmEnrolment(ctx, a.scope, k.held, t.State, answer)
	if errors.Is(err, factors.ErrPending) {
		if err := k.s.Ledger.Refund(ctx, a.receipt); err != nil {
			return k.s.unavailable(err)
		}
	}
	if errs := answerError(k.factor.Kind(), err); errs != nil {
		return k.show(w, r, factors.Answer{}, errs)
	}
	if err != nil {
		return k.s.trouble(errors.Join(err, k.s.Ledger.Refund(ctx, a.receipt)))
	}
	if err := k.s.Ledger.Success(ctx, a.receipt); err != nil {
		return k.s.unavailable(err)
	}
	if k.mayMakeToken() {
		if _, err := (deviceChoices{k.s}).takeToken(r, k.v, answer); err != nil {
			return err
		}
	}
	return k.keep(w, r, t, credential)
}

// keep stores the credential in the write that ends the transaction, and with
// it what was proved for the operation (SP 800-63B-4 §4.1.2: to bind another
// authenticator takes one of the account's own).
func (k *enrolling) keep(w http.ResponseWriter, r *http.Request, t ceremony.Transaction, credential account.Credential) error {
	now := k.s.Now().UTC()
	credential.Factor = string(k.factor.Kind())
	enrolments{k.s}.bind(&credential, k.v, k.grant, k.once, now)
	credential, err := enrolments{k.s}.enrol(r, k.v, ceremony.Enrolled{Transaction: t.ID, Credential: credential, First: k.grant.stillFirst(), Sole: k.sole})
	switch {
	case errors.Is(err, ceremony.ErrTransactionGone), errors.Is(err, ceremony.ErrNotFirst):
		return k.s.dispatch(w, r, k.v, k.c)
	case errors.Is(err, account.ErrTaken):
		return k.show(w, r, factors.Answer{}, answerError(k.factor.Kind(), factors.ErrTaken))
	case err != nil:
		return k.s.unavailable(err)
	}
	codes, err := k.firstList(r)
	if err != nil {
		return err
	}
	return k.goOn(w, r, proofOf(k.factor.Kind(), factors.Verified{Credential: credential}, now), codes)
}

// goOn ends the step: with a risen session, or a signed-out one where the
// site says so, and with backup codes to be shown where there are any.
func (k *enrolling) goOn(w http.ResponseWriter, r *http.Request, proof policy.Proof, codes []string) error {
	v, c := k.v, k.c
	if k.s.SignOutAfter && c.Kind != ceremony.Add {
		if err := k.s.Sessions.End(r.Context(), w, k.s.Place, v); err != nil {
			return k.s.unavailable(err)
		}
		v, c.Done = nil, "done.enrolled"
	} else {
		var err error
		if v, err = k.rise(w, r, proof); err != nil {
			return err
		}
	}
	if len(codes) > 0 {
		return lists{k.s}.showList(w, r, v, c, shownList{k.page, codes, true})
	}
	return k.s.dispatch(w, r, v, c)
}

// enrol keeps a credential for v's account, with its event, and tells the
// person. Whose and since when it is is filled in here.
func (s enrolments) enrol(r *http.Request, v *session.Entry, enrolled ceremony.Enrolled) (account.Credential, error) {
	now := s.Now().UTC()
	credential := enrolled.Credential
	credential.ID = account.NewCredentialID()
	credential.Account = v.Owner.Account.ID
	credential.CreatedAt, credential.LastUsedAt = now, now
	e := s.event(r, audit.FactorEnrolled, v)
	e.Factor, e.Credential = credential.Factor, string(credential.ID)
	enrolled.Credential, enrolled.Event = credential, e
	var err error
	if enrolled.Messages, err = notices(s).tell(r, v, people.ToldFactorAdded, credential); err != nil {
		return credential, err
	}
	if err = s.Store.Enrol(r.Context(), enrolled, now); err == nil {
		notices(s).sent(enrolled.Messages)
	}
	return credential, err
}
