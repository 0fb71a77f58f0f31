package challenge

import (
	"net/http"
	"slices"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/internal/account"
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
		held, err := s.holdingsOf(r, v)
		if err != nil {
			return err
		}
		offered := prospects{s}.offer(v, c, held)
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
	t, stored, err := k.find(ctx)
	if err == nil && send && !stored {
		t, err = k.open(ctx)
		stored = true
	}
	if err != nil {
		return factors.Prompt{}, err
	}
	scope := k.scope(r, t)
	prompt, state, err := k.factor.Prepare(ctx, scope, k.held, t.State, send)
	if err != nil {
		return prompt, err
	}
	if !stored && len(state) > 0 {
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

// ask lets the only factor that would do send its code when a form has led to
// it. What cannot be sent now is not this form's fault: the page that follows
// has a button, and says why when that does not work either.
func (k *walk) ask(r *http.Request) { _, _ = k.prepare(r, true) }
