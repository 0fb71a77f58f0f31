package challenge

import (
	"errors"
	"net/http"
	"time"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/web"
	"github.com/stepgate/stepgate/policy"
)

// makeToken is the page that asks for the PIN to make the token with: one that
// the person has, or one that is chosen now.
func (s deviceChoices) makeToken(w http.ResponseWriter, r *http.Request) error {
	at, err := s.ready(w, r)
	if at == nil {
		return err
	}
	v, c := at.visitor, at.continuation
	chosen, err := s.chosen(r.Context(), v)
	if err != nil {
		return err
	}
	if !chosen.Private || !s.asksDevice(v, c) {
		return s.dispatch(w, r, v, c)
	}
	held, err := s.holdingsOf(r, v)
	if err != nil {
		return err
	}
	if s.Factors.Find(policy.PIN) == nil {
		return enrolments(s).stuck(w, r, v, c)
	}
	k := &pinMaking{walk: *s.walk(v, c, policy.PIN, held)}
	k.page, k.others, k.choosing = tokenPage, false, len(held.all[policy.PIN]) == 0
	if r.Method != http.MethodPost {
		return k.show(w, r, nil)
	}
	k.form = s.formMark(r, v, at.fields)
	return k.answer(w, r, factors.Answer{Fields: at.fields})
}

// pinMaking is a page of a PIN that makes a token with it.
type pinMaking struct {
	walk
	// choosing says that the PIN is a new one; replacing that it takes the
	// place of the one before.
	choosing, replacing bool
	// countsFrom is from when a PIN counts that takes the place of another.
	countsFrom time.Time
	// plain says that no token is made after all.
	plain bool
}

func (k *pinMaking) show(w http.ResponseWriter, r *http.Request, errs []web.FieldError) error {
	prompt, _, err := k.factor.Prepare(r.Context(), k.s.scope(r, k.v, k.purpose), k.held, nil, false)
	if err == nil && !k.plain {
		prompt.Options, err = deviceChoices{k.s}.inviteToken(r, k.v)
	}
	if err != nil {
		return k.s.trouble(err)
	}
	return k.render(w, r, prompt, errs, k.choosing)
}

// answer compares or keeps the PIN, and then keeps the token.
func (k *pinMaking) answer(w http.ResponseWriter, r *http.Request, answer factors.Answer) error {
	ctx := r.Context()
	receipt, err := k.spend(r)
	if err != nil && k.stopped(err) {
		return k.show(w, r, k.fail.Excuse())
	}
	if err != nil {
		return k.s.throttled(err, false)
	}
	proof, err := k.prove(r, answer)
	if errs := answerError(policy.PIN, err); errs != nil {
		if recorded := k.failed(r, err); recorded != nil {
			return recorded
		}
		return k.show(w, r, errs)
	}
	if err != nil {
		return k.s.trouble(errors.Join(err, k.s.Ledger.Refund(ctx, receipt)))
	}
	if err := k.s.Ledger.Success(ctx, receipt); err != nil {
		return k.s.unavailable(err)
	}
	var chosen choosing
	if !k.plain {
		if chosen, err = (deviceChoices{k.s}).takeToken(r, k.v, answer); err != nil {
			return err
		}
	}
	risen, err := k.rise(w, r, proof)
	if err != nil || risen == nil || k.plain {
		return k.goOnAgain(w, r, risen, err)
	}
	if _, ready := k.s.resident().Offered(chosen.Making); !ready {
		// The script could not do it: the choice is asked for again.
		chosen.Private = false
		if err := (deviceChoices{k.s}).saveChoice(ctx, chosen); err != nil {
			return err
		}
		return k.s.dispatch(w, r, risen, k.c)
	}
	return deviceChoices{k.s}.settleDevice(w, r, risen, k.c, chosen)
}

// prove gives the proof of the PIN: of the one that is held, or of one that
// is kept now.
func (k *pinMaking) prove(r *http.Request, answer factors.Answer) (policy.Proof, error) {
	ctx, now := r.Context(), k.s.Now().UTC()
	scope := k.s.scope(r, k.v, k.purpose)
	if !k.choosing {
		verified, err := k.factor.Verify(ctx, scope, k.held, nil, answer)
		return proofOf(policy.PIN, verified, now), err
	}
	enroller, ok := k.s.Factors.Enroller(policy.PIN)
	if !ok {
		return policy.Proof{}, factors.ErrUnavailable
	}
	credential, err := enroller.ConfirmEnrolment(ctx, scope, nil, nil, answer)
	if err != nil {
		return policy.Proof{}, err
	}
	t, err := k.open(ctx)
	if err != nil {
		return policy.Proof{}, err
	}
	credential.Factor = string(policy.PIN)
	deviceChoices{k.s}.bindDevice(&credential, k.v, holdings{}, now)
	credential.CountsFrom = k.countsFrom
	if credential, err = (enrolments{k.s}).enrol(r, k.v, ceremony.Enrolled{Transaction: t.ID, Credential: credential, Sole: k.replacing}); err != nil {
		return policy.Proof{}, err
	}
	return proofOf(policy.PIN, factors.Verified{Credential: credential}, now), k.clear(r)
}

// clear forgets the wrong tries of the PIN that was replaced.
func (k *pinMaking) clear(r *http.Request) error {
	return k.s.Ledger.Clear(r.Context(), k.s.Plan.Charges(k.try(r))...)
}

// failed keeps the event of a wrong answer; a PIN that may not be chosen is
// none.
func (k *walk) failed(r *http.Request, cause error) error {
	if unsuitable := (*factors.Unsuitable)(nil); errors.As(cause, &unsuitable) {
		return nil
	}
	e := k.s.event(r, audit.ChallengeFailed, k.v)
	e.Factor, e.Reason = string(k.factor.Kind()), reasonOf(cause)
	if err := k.s.Recorder.Record(r.Context(), e); err != nil {
		return k.s.unavailable(err)
	}
	return nil
}
