package challenge

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/throttle"
	"github.com/stepgate/stepgate/policy"
)

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
	if err := k.notePassed(r, e, verified); err != nil {
		return k.s.unavailable(err)
	}
	v, err := k.rise(w, r, proofOf(k.factor.Kind(), verified, k.s.Now().UTC()))
	if err != nil {
		return err
	}
	return k.s.dispatch(w, r, v, k.c)
}

// notePassed keeps the event of a right answer, and with it what the person is
// told of that.
func (k *walk) notePassed(r *http.Request, e audit.Event, verified factors.Verified) error {
	messages, err := k.s.tell(r, k.v, people.Told(verified.Notice), verified.Credential)
	switch {
	case err != nil:
		return err
	case len(messages) == 0:
		return k.s.Recorder.Record(r.Context(), e)
	}
	if err := k.s.Store.Note(r.Context(), e, messages); err != nil {
		return err
	}
	k.s.sent(messages)
	return nil
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
