package challenge

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/web"
	"github.com/stepgate/stepgate/policy"
)

// step is one factor of a challenge: its page, and the answer to it.
func (s *Site) step(kind policy.Factor) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		at, err := s.ready(w, r)
		if at == nil {
			return err
		}
		v, c, fields := at.visitor, at.continuation, at.fields
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
		if st.several() && !st.pick(account.CredentialID(r.URL.Query().Get(credentialField))) {
			return st.askWhich(w, r)
		}
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

// credentialField names in the address of a step which of several numbers or
// addresses a code goes to.
const credentialField = "credential"

// several tells whether codes could go to more than one place, so that the
// person is asked which.
func (k *walk) several() bool {
	addressed := 0
	for _, c := range k.held {
		if c.Address != "" {
			addressed++
		}
	}
	return addressed > 1
}

// pick makes one credential that of the step. What is under way for one is
// under way for no other.
func (k *walk) pick(id account.CredentialID) bool {
	i := slices.IndexFunc(k.held, func(c account.Credential) bool { return c.ID == id })
	if i < 0 {
		return false
	}
	k.held = k.held[i : i+1]
	k.page += "?" + credentialField + "=" + url.QueryEscape(string(id))
	k.others = true
	return true
}

// askWhich lists the numbers or addresses, the default first.
func (k *walk) askWhich(w http.ResponseWriter, r *http.Request) error {
	view := &chooseView{View: k.s.view(w, r, k.v), Purpose: k.s.purposeOf(k.v, k.c), Which: k.factor.Kind()}
	for _, c := range k.held {
		href, err := k.s.address(k.page+"?"+credentialField+"="+url.QueryEscape(string(c.ID)), k.c)
		if err != nil {
			return err
		}
		view.Ways = append(view.Ways, way{Factor: k.factor.Kind(), Label: c.Label, Href: href})
	}
	return k.s.Pages.Render(w, r, k.s.Web, http.StatusOK, "choose", view)
}

func (s *Site) walk(v *session.Entry, c ceremony.Continuation, kind policy.Factor, held holdings) *walk {
	k := &walk{
		s: s, v: v, c: c, factor: s.Factors.Find(kind), held: s.provable(kind, v, c, held), page: "/challenge/" + string(kind), purpose: "step-up",
	}
	if c.Kind == ceremony.Operate {
		k.purpose = c.Operation
	} else {
		k.forgot = len(held.all[policy.PIN]) > 0 && canReplacePIN(held)
	}
	return k
}

// ask lets the only factor that would do send its code when a form has led to
// it. What cannot be sent now is not this form's fault: the page that follows
// has a button, and says why when that does not work either.
func (k *walk) ask(r *http.Request) { _, _ = k.prepare(r, true) }

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
	// forgot offers another PIN to who has forgotten theirs.
	forgot bool
	// form is the mark of the form that is answered.
	form string
	// fail is why the page says that it cannot do what was asked for now.
	fail *web.Fail
	// typed are the form's fields, for an address that has to be typed again.
	typed map[string]string
}

// key is the transaction's key: one for each continuation and step.
func (k *walk) key() string { return k.c.ID + k.page }

// fresh is a transaction of the step that nothing keeps yet.
func (k *walk) fresh() ceremony.Transaction {
	now, owner := k.s.Now().UTC(), k.v.Owner.Account.ID
	return ceremony.Transaction{
		ID: ceremony.NewID(), Session: k.v.Session.ID, Key: k.key(), Actor: owner, Subject: owner,
		Site: k.s.Place.Origin, Purpose: k.purpose, Factor: k.factor.Kind(), CreatedAt: now, ExpiresAt: now.Add(ceremony.TransactionTTL), Version: 1,
	}
}

// find finds the step's transaction. Where there is none yet it gives a fresh
// one, which is kept once there is something to keep in it.
func (k *walk) find(ctx context.Context) (t ceremony.Transaction, kept bool, err error) {
	t, err = k.s.Store.FindTransaction(ctx, k.v.Session.ID, k.key(), k.s.Now().UTC())
	switch {
	case errors.Is(err, ceremony.ErrTransactionGone):
		return k.fresh(), false, nil
	case err != nil:
		return t, false, k.s.unavailable(err)
	}
	return t, true, nil
}

// open finds the step's transaction or makes it.
func (k *walk) open(ctx context.Context) (ceremony.Transaction, error) {
	t := k.fresh()
	t, err := k.s.Store.OpenTransaction(ctx, t, t.CreatedAt)
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
	send := sends(answer)
	prompt, err := k.prepare(r, send)
	if send && k.excuse(err) {
		return k.show(w, r, factors.Answer{}, nil)
	}
	if err != nil {
		return k.s.trouble(err)
	}
	if send {
		return k.s.goTo(w, r, k.page, k.c)
	}
	return k.render(w, r, prompt, errs, false)
}

// prepare has the factor make its prompt, and keeps what it wants to remember.
// Most remember nothing: then nothing is written. A message is sent in a
// transaction that is kept already.
func (k *walk) prepare(r *http.Request, send bool) (factors.Prompt, error) {
	ctx := r.Context()
	t, kept, err := k.find(ctx)
	if err == nil && send && !kept {
		t, err = k.open(ctx)
		kept = true
	}
	if err != nil {
		return factors.Prompt{}, err
	}
	scope := k.s.scope(r, k.v, k.purpose)
	scope.Transaction = t.ID
	prompt, state, err := k.factor.Prepare(ctx, scope, k.held, t.State, send)
	if err != nil {
		return prompt, err
	}
	if !kept && len(state) > 0 {
		if _, err := k.open(ctx); err != nil {
			return prompt, err
		}
		return k.prepare(r, send) // in that one, which may be another tab's
	}
	_, err = k.save(ctx, t, state)
	return prompt, err
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
	if prompt.Shape == factors.ShapePIN && !enrolling && k.forgot && k.s.Factors.Find(policy.PIN) != nil {
		if view.Forgot, err = k.s.address(forgottenPage, k.c); err != nil {
			return err
		}
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
