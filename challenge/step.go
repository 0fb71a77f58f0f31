package challenge

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/throttle"
	"github.com/stepgate/stepgate/internal/web"
	"github.com/stepgate/stepgate/policy"
)

// ready finds the visitor and the continuation of a page that wants a
// session, and tells whether the handler goes on: somebody who is not signed
// in, or whose tab has been given a newer identifier, is sent on.
func (s *Site) ready(w http.ResponseWriter, r *http.Request) (v *session.Entry, c ceremony.Continuation, fields map[string]string, on bool, err error) {
	if v, err = s.visitor(r); err != nil {
		return
	}
	if r.Method == http.MethodPost {
		if v == nil {
			if _, err = web.ReadForm(w, r); err != nil {
				return
			}
		} else if fields, err = s.post(w, r, v); err != nil {
			return
		}
	}
	c = s.continuation(r)
	if v == nil {
		return v, c, nil, false, s.goTo(w, r, "/sign-in", c)
	}
	if r.Method == http.MethodPost && !v.Session.SupersededAt.IsZero() {
		risen, err := s.again(w, r, v, s.formMark(r, v, fields))
		if err != nil || risen == nil {
			return v, c, nil, false, errors.Join(err, s.goTo(w, r, "/challenge", c))
		}
		return v, c, nil, false, s.dispatch(w, r, risen, c)
	}
	return v, c, fields, true, nil
}

// allField in the address of the list of factors shows them all, where one
// of them would be asked for at once.
const allField = "all"

// choose shows the factors that would do, or goes on where there is nothing
// to choose.
func (s *Site) choose(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return &web.Fail{Status: http.StatusMethodNotAllowed, Allow: "GET, HEAD"}
	}
	v, c, _, on, err := s.ready(w, r)
	if err != nil || !on {
		return err
	}
	if s.satisfied(v, c) {
		return s.dispatch(w, r, v, c)
	}
	held, err := s.held(r, v)
	if err != nil {
		return err
	}
	offered := s.offer(v, c, held)
	if len(offered.factors) < 2 || offered.direct != "" && r.URL.Query().Get(allField) == "" {
		return s.dispatch(w, r, v, c)
	}
	view := &chooseView{View: s.view(w, r, v), Purpose: s.purposeOf(v, c)}
	for _, kind := range offered.factors {
		label := ""
		if own := held.usable[kind]; len(own) == 1 && !kind.Fallback() {
			label = own[0].Label
		}
		href, err := s.address("/challenge/"+string(kind), c)
		if err != nil {
			return err
		}
		view.Ways = append(view.Ways, way{Factor: kind, Label: label, Href: href})
	}
	return s.Pages.Render(w, r, s.Web, http.StatusOK, "choose", view)
}

// step is one factor of a challenge: its page, and the answer to it.
func (s *Site) step(kind policy.Factor) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		v, c, fields, on, err := s.ready(w, r)
		if err != nil || !on {
			return err
		}
		if s.satisfied(v, c) {
			return s.dispatch(w, r, v, c)
		}
		held, err := s.held(r, v)
		if err != nil {
			return err
		}
		offered := s.offer(v, c, held)
		if !slices.Contains(offered.factors, kind) {
			return s.dispatch(w, r, v, c)
		}
		st := s.walk(v, c, kind, held)
		st.others = len(offered.factors) > 1
		if r.Method != http.MethodPost {
			return st.show(w, r, factors.Answer{}, nil)
		}
		if action := fields["action"]; action == "send" || action == "resend" {
			return st.show(w, r, factors.Answer{Fields: fields}, nil)
		}
		st.form = s.formMark(r, v, fields)
		return st.verify(w, r, factors.Answer{Fields: fields})
	}
}

func (s *Site) walk(v *session.Entry, c ceremony.Continuation, kind policy.Factor, held holdings) *walk {
	k := &walk{
		s: s, v: v, c: c, factor: s.Factors.Find(kind), held: s.provable(kind, v, c, held), page: "/challenge/" + string(kind), purpose: "step-up",
	}
	if c.Kind == ceremony.Operate {
		k.purpose = c.Operation
	}
	return k
}

// ask lets the only factor that would do send its code when a form has led to
// it. What cannot be sent now is not this form's fault: the page that follows
// has a button, and says why when that does not work either.
func (k *walk) ask(r *http.Request) {
	ctx := r.Context()
	t, err := k.open(ctx)
	if err != nil {
		return
	}
	scope := k.s.scope(r, k.v, k.purpose)
	scope.Transaction = t.ID
	if _, state, err := k.factor.Prepare(ctx, scope, k.held, t.State, true); err == nil {
		k.save(ctx, t, state)
	}
}

// walk is one factor's step for one visitor, within one request.
type walk struct {
	s       *Site
	v       *session.Entry
	c       ceremony.Continuation
	factor  factors.Factor
	held    []account.Credential
	page    string
	purpose string
	others  bool
	// form is the mark of the form that is answered.
	form string
	// fail is why the page says that it cannot do what was asked for now.
	fail *web.Fail
	// typed are the form's fields, for an address that has to be typed again.
	typed map[string]string
}

// key is the transaction's key: one for each continuation and step.
func (k *walk) key() string { return k.c.ID + k.page }

// open finds the step's transaction or makes it.
func (k *walk) open(ctx context.Context) (ceremony.Transaction, error) {
	now := k.s.Now().UTC()
	owner := k.v.Owner.Account.ID
	t, err := k.s.Store.OpenTransaction(ctx, ceremony.Transaction{
		ID: ceremony.NewID(), Session: k.v.Session.ID, Key: k.key(), Actor: owner, Subject: owner,
		Site: k.s.Place.Origin, Purpose: k.purpose, Factor: k.factor.Kind(), CreatedAt: now, ExpiresAt: now.Add(ceremony.TransactionTTL), Version: 1,
	}, now)
	if err != nil {
		return t, k.s.unavailable(err)
	}
	return t, nil
}

// save keeps what a factor wants to remember, if it is another than before.
func (k *walk) save(ctx context.Context, t ceremony.Transaction, state factors.State) (ceremony.Transaction, error) {
	if slices.Equal(t.State, state) {
		return t, nil
	}
	t.State = state
	if err := k.s.Store.SaveTransaction(ctx, t, k.s.Now().UTC()); err != nil {
		return t, k.s.unavailable(err)
	}
	t.Version++
	return t, nil
}

// show prepares the factor and shows its page. A message goes out only where
// answer holds a button that asks for it.
func (k *walk) show(w http.ResponseWriter, r *http.Request, answer factors.Answer, errs []web.FieldError) error {
	ctx := r.Context()
	t, err := k.open(ctx)
	if err != nil {
		return err
	}
	scope := k.s.scope(r, k.v, k.purpose)
	scope.Transaction = t.ID
	send := sends(answer)
	prompt, state, err := k.factor.Prepare(ctx, scope, k.held, t.State, send)
	if send && k.excuse(err) {
		return k.show(w, r, factors.Answer{}, nil)
	}
	if err != nil {
		return k.s.trouble(err)
	}
	if _, err := k.save(ctx, t, state); err != nil {
		return err
	}
	if send {
		return k.s.goTo(w, r, k.page, k.c)
	}
	return k.render(w, r, prompt, errs, false)
}

// excuse remembers for the page of the step why it cannot do what a button
// asked for, and tells whether it is such a reason: the page stays, with the
// field for a code that was sent before and the way to other factors.
func (k *walk) excuse(err error) bool {
	f := (*web.Fail)(nil)
	if err == nil || k.fail != nil || !errors.As(k.s.trouble(err), &f) || f.Advice == "" {
		return false
	}
	k.fail = f
	return true
}

// stopped is the page of the step for somebody who has tried too often.
func (k *walk) stopped(err error) bool {
	f := (*web.Fail)(nil)
	if k.fail != nil || !errors.As(k.s.throttled(err, k.others), &f) || f.Status != http.StatusTooManyRequests {
		return false
	}
	k.fail = f
	return true
}

// sends tells whether a button asks for a code. The page that says that it is
// on its way is another request, so that a reload sends nothing again.
func sends(answer factors.Answer) bool {
	return answer.Fields["action"] == "send" || answer.Fields["action"] == "resend"
}

func (k *walk) render(w http.ResponseWriter, r *http.Request, prompt factors.Prompt, errs []web.FieldError, enrolling bool) error {
	sealed, err := k.c.Seal(k.s.Sealer, k.s.Place.Origin)
	if err != nil {
		return err
	}
	view := &promptView{View: k.s.view(w, r, k.v), Prompt: prompt, Continuation: sealed, Action: k.page, Enrolling: enrolling}
	view.Errors = errorsOf(prompt, errs)
	if typed, ok := k.typed[prompt.Field]; ok && prompt.Field != "" {
		view.Values = map[string]string{prompt.Field: typed}
	}
	if !enrolling {
		view.Purpose = k.s.purposeOf(k.v, k.c)
	}
	if k.others {
		up, all := "/challenge", "&"+allField+"=1"
		if enrolling {
			up, all = "/enrol", ""
		}
		if view.Others, err = k.s.address(up, k.c); err != nil {
			return err
		}
		view.Others += all
	}
	if prompt.SecretURI != "" {
		if view.Picture, err = web.QRCode(prompt.SecretURI, 5); err != nil {
			return err
		}
	}
	status := http.StatusOK
	if errs != nil {
		status = http.StatusBadRequest
	}
	if k.fail != nil {
		status = k.fail.Status
		view.Errors = k.fail.Excuse()
		web.SetRetryAfter(w.Header(), k.fail.RetryAfter)
	}
	return k.s.Pages.Render(w, r, k.s.Web, status, pageOf(prompt), view)
}

// spend charges a try before it is compared.
func (k *walk) spend(r *http.Request) (throttle.Receipt, error) {
	return k.s.Ledger.Spend(r.Context(), k.s.Plan.Charges(throttle.Try{
		Account: string(k.v.Owner.Account.ID), Factor: string(k.factor.Kind()), Address: k.s.Address(r), Known: k.s.known(r, k.v),
	})...)
}

// verify compares an answer and, when it is right, raises the session.
func (k *walk) verify(w http.ResponseWriter, r *http.Request, answer factors.Answer) error {
	ctx := r.Context()
	t, err := k.open(ctx)
	if err != nil {
		return err
	}
	receipt, err := k.spend(r)
	if err != nil && k.stopped(err) {
		return k.show(w, r, factors.Answer{}, nil)
	}
	if err != nil {
		return k.s.throttled(err, k.others)
	}
	scope := k.s.scope(r, k.v, k.purpose)
	scope.Transaction = t.ID
	verified, err := k.factor.Verify(ctx, scope, k.held, t.State, answer)
	if err != nil {
		return k.refused(w, r, receipt, err)
	}
	if err := k.s.Ledger.Success(ctx, receipt); err != nil {
		return k.s.unavailable(err)
	}
	return k.passed(w, r, t, verified)
}

// refused answers a wrong answer with the page again, and a technical failure
// with an error that gives the try back.
func (k *walk) refused(w http.ResponseWriter, r *http.Request, receipt throttle.Receipt, cause error) error {
	errs := answerError(k.factor.Kind(), cause)
	if errors.Is(cause, factors.ErrReplayed) { // by this very form, a moment ago
		if risen, err := k.s.again(w, r, k.v, k.form); err != nil || risen != nil {
			return k.goOnAgain(w, r, risen, errors.Join(err, k.s.Ledger.Refund(r.Context(), receipt)))
		}
	}
	if errs == nil {
		return k.s.trouble(errors.Join(cause, k.s.Ledger.Refund(r.Context(), receipt)))
	}
	e := k.s.event(r, audit.ChallengeFailed, k.v)
	e.Factor = string(k.factor.Kind())
	e.Reason = reasonOf(cause)
	if err := k.s.Recorder.Record(r.Context(), e); err != nil {
		return k.s.unavailable(err)
	}
	return k.show(w, r, factors.Answer{}, errs)
}

func (k *walk) goOnAgain(w http.ResponseWriter, r *http.Request, risen *session.Entry, err error) error {
	if err != nil {
		return err
	}
	return k.s.dispatch(w, r, risen, k.c)
}

func reasonOf(err error) string {
	switch {
	case errors.Is(err, factors.ErrReplayed):
		return "replayed"
	case errors.Is(err, factors.ErrExpired):
		return "expired"
	case errors.Is(err, factors.ErrCloned):
		return "counter-went-back"
	case errors.Is(err, factors.ErrUnverified):
		return "person-not-verified"
	default:
		return "wrong-answer"
	}
}

// passed turns a verification into a proof of the session.
func (k *walk) passed(w http.ResponseWriter, r *http.Request, t ceremony.Transaction, verified factors.Verified) error {
	ctx := r.Context()
	if len(t.State) > 0 {
		switch err := k.s.Store.RedeemTransaction(ctx, t.ID, k.s.Now().UTC()); {
		case errors.Is(err, ceremony.ErrTransactionGone): // another request has passed with it
			return k.s.dispatch(w, r, k.v, k.c)
		case err != nil:
			return k.s.unavailable(err)
		}
	}
	e := k.s.event(r, audit.ChallengePassed, k.v)
	e.Factor, e.Credential = string(k.factor.Kind()), string(verified.Credential.ID)
	if err := k.s.Recorder.Record(ctx, e); err != nil {
		return k.s.unavailable(err)
	}
	k.s.tell(ctx, k.v, verified.Notice, verified.Credential)
	v, err := k.rise(w, r, proofOf(k.factor.Kind(), verified, k.s.Now().UTC()))
	if err != nil {
		return err
	}
	return k.s.dispatch(w, r, v, k.c)
}

// rise adds a proof to the session: for the operation or the request that it
// was made for, or for whatever it counts for. The visitor is nobody when the
// session ended meanwhile.
func (k *walk) rise(w http.ResponseWriter, r *http.Request, proof policy.Proof) (*session.Entry, error) {
	if k.c.Kind == ceremony.Operate || k.s.asksOnce(k.v, k.c) {
		proof.Once = k.c.Once
		if err := k.earmark(r.Context(), proof); err != nil {
			return nil, err
		}
	}
	proof.Form = k.form
	entry, err := k.s.Sessions.Raise(r.Context(), w, k.s.Place, k.v, addProof(proof))
	if errors.Is(err, session.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, k.s.unavailable(err)
	}
	if proof.Factor.Possession() {
		k.s.acquaint(w, r, entry)
	}
	return entry, nil
}

// earmark keeps the transaction that a proof for one request, or one
// operation, is spent from.
func (k *walk) earmark(ctx context.Context, proof policy.Proof) error {
	now := k.s.Now().UTC()
	id := ceremony.OnceTransaction(k.v.Session.ID, proof)
	_, err := k.s.Store.OpenTransaction(ctx, ceremony.Transaction{
		ID: id, Session: k.v.Session.ID, Key: "once/" + id, Actor: k.v.Owner.Account.ID, Subject: k.v.Owner.Account.ID,
		Site: k.s.Place.Origin, Purpose: "once", Factor: proof.Factor, CreatedAt: now, ExpiresAt: now.Add(ceremony.TransactionTTL), Version: 1,
	}, now)
	if err != nil {
		return k.s.unavailable(err)
	}
	return nil
}

// asksOnce tells whether all that a continuation still lacks are levels with
// `once`: the proof that is made now is then for that request alone.
func (s *Site) asksOnce(v *session.Entry, c ceremony.Continuation) bool {
	missing := s.missing(v, c)
	return missing != 0 && missing&^s.Policy.OnceLevels() == 0
}

func proofOf(kind policy.Factor, verified factors.Verified, now time.Time) policy.Proof {
	c := verified.Credential
	p := policy.Proof{Factor: kind, Credential: string(c.ID), At: now, UserVerified: verified.UserVerified, CountsFrom: c.CountsFrom}
	for _, f := range c.BoundBy {
		p.BoundBy = append(p.BoundBy, policy.Factor(f))
	}
	return p
}

// trouble is a factor that cannot be used now: 503, or 429 for a code that
// may not be sent yet. Other factors are offered by the page that the person
// came from.
func (s *Site) trouble(err error) error {
	soon, spent := (*factors.TooSoon)(nil), (*throttle.Spent)(nil)
	switch {
	case errors.As(err, &soon):
		return &web.Fail{Status: http.StatusTooManyRequests, RetryAfter: soon.After, Title: "sending.title", Advice: "sending.soon", Err: err}
	case errors.As(err, &spent):
		return &web.Fail{Status: http.StatusTooManyRequests, RetryAfter: spent.RetryAfter, Title: "sending.title", Advice: "sending.spent", Err: err}
	case errors.Is(err, factors.ErrUnavailable):
		return &web.Fail{Status: http.StatusServiceUnavailable, Title: "unavailable.title", Advice: "unavailable.advice", Err: err}
	}
	return s.unavailable(err)
}

// throttled is a spent budget in the middle of a challenge.
func (s *Site) throttled(err error, others bool) error {
	fail := s.tooMany(err)
	if f := (*web.Fail)(nil); others && errors.As(fail, &f) && f.Advice == "throttled.wait" {
		f.Advice = "throttled.others"
	}
	return fail
}
