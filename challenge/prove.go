package challenge

import (
	"crypto/rand"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/device"
	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/throttle"
	"github.com/stepgate/stepgate/internal/web"
	"github.com/stepgate/stepgate/policy"
)

// spend charges a try before it is compared.
func (k *walk) spend(r *http.Request) (throttle.Receipt, error) {
	return k.s.Ledger.Spend(r.Context(), k.s.Plan.Charges(k.try(r))...)
}

func (k *walk) try(r *http.Request) throttle.Try {
	return throttle.Try{
		Account: string(k.v.Owner.Account.ID), Factor: string(k.factor.Kind()), Address: k.s.Address(r), Known: acquaintances{k.s}.known(r, k.v),
	}
}

// attempt is a try at an answer: what it is compared in, and what it has cost.
type attempt struct {
	transaction ceremony.Transaction
	scope       factors.Scope
	receipt     throttle.Receipt
}

// attempt charges a try, in the step's transaction, before anything is
// compared (SP 800-63B-4 §3.2.2). Where k.fail is set then,
// nothing was charged and the page is to say why.
func (k *walk) attempt(r *http.Request, t ceremony.Transaction) (a attempt, err error) {
	a.transaction, a.scope = t, k.scope(r, t)
	a.receipt, err = k.spend(r)
	if err != nil && !k.stopped(err) {
		return a, k.s.throttled(err, k.others)
	}
	return a, nil
}

// verify compares an answer and, when it is right, raises the session. A code
// that was left out is no try.
func (k *walk) verify(w http.ResponseWriter, r *http.Request, answer factors.Answer) error {
	t, _, err := k.find(r.Context())
	if err != nil {
		return err
	}
	if typed, asked := answer.Fields["code"]; asked && strings.TrimSpace(typed) == "" {
		return k.show(w, r, factors.Answer{}, []web.FieldError{{Field: "code", Text: "error.no-code"}})
	}
	if _, swift := k.factor.(factors.Swift); swift && k.current() {
		if answered, err := k.verifyAtOnce(w, r, t, answer); answered || err != nil {
			return err
		}
	}
	return k.verifyInSteps(w, r, t, answer)
}

// verifyInSteps is verify's way for a comparison that may take its time: the
// try is charged before it, and what it brings is kept behind it.
func (k *walk) verifyInSteps(w http.ResponseWriter, r *http.Request, t ceremony.Transaction, answer factors.Answer) error {
	a, err := k.attempt(r, t)
	if err != nil {
		return err
	}
	if k.fail != nil {
		return k.show(w, r, factors.Answer{}, nil)
	}
	verified, err := k.factor.Verify(r.Context(), a.scope, k.held, t.State, answer)
	if err != nil {
		return k.refused(w, r, a.receipt, err)
	}
	return k.passed(w, r, a, verified)
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
	if errors.Is(cause, factors.ErrDestroyed) {
		return k.destroyed(w, r)
	}
	if errors.Is(cause, factors.ErrPending) {
		if err := k.s.Ledger.Refund(r.Context(), receipt); err != nil {
			return k.s.unavailable(err)
		}
		return k.show(w, r, factors.Answer{}, errs)
	}
	if errs == nil {
		return k.s.trouble(errors.Join(cause, k.s.Ledger.Refund(r.Context(), receipt)))
	}
	if err := k.failed(r, cause); err != nil {
		return err
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

// passed turns a verification into a proof of the session: all that it brings
// is one write.
func (k *walk) passed(w http.ResponseWriter, r *http.Request, a attempt, verified factors.Verified) error {
	proof, p, err := k.brings(r, a, verified)
	if err != nil {
		return err
	}
	v, err := k.riseBy(w, r, func() policy.Proof { return proof }, func(raising session.Raising) (*session.Risen, error) {
		p.Raising = raising
		return k.s.Store.Pass(r.Context(), p, raising.Now)
	})
	if v == nil && err == nil { // nothing was kept: the session ended meanwhile
		if err := k.s.Recorder.Record(r.Context(), p.Event); err != nil {
			return k.s.unavailable(err)
		}
	}
	return k.lead(w, r, v, p, err)
}

// brings is all that a right answer brings, but for what raises the session.
func (k *walk) brings(r *http.Request, a attempt, verified factors.Verified) (policy.Proof, ceremony.Passed, error) {
	now := k.s.Now().UTC()
	e := k.s.event(r, audit.ChallengePassed, k.v)
	e.Factor, e.Credential = string(k.factor.Kind()), string(verified.Credential.ID)
	messages, err := notices{k.s}.tell(r, k.v, people.Told(verified.Notice), verified.Credential)
	if err != nil {
		return policy.Proof{}, ceremony.Passed{}, k.s.unavailable(err)
	}
	proof := proofOf(k.factor.Kind(), verified, now)
	p := ceremony.Passed{Event: e, Messages: messages, Earmark: k.earmark(&proof, now)}
	if len(a.transaction.State) > 0 {
		p.Transaction = a.transaction.ID
	}
	p.Counters, p.Settle = a.receipt.Success()
	return proof, p, nil
}

// lead leads on once the write of a right answer is over; v is nobody where
// the session ended meanwhile.
func (k *walk) lead(w http.ResponseWriter, r *http.Request, v *session.Entry, p ceremony.Passed, err error) error {
	k.c.Done = ""
	switch {
	case errors.Is(err, ceremony.ErrTransactionGone): // another request has passed with it
		return k.s.dispatch(w, r, k.v, k.c)
	case err != nil:
		return k.s.unavailable(err)
	}
	if v != nil {
		notices{k.s}.sent(p.Messages)
	}
	return k.s.dispatch(w, r, v, k.c)
}

// rise adds a proof to the session: for the operation or the request that it
// was made for, or for whatever it counts for. The visitor is nobody when the
// session ended meanwhile.
func (k *walk) rise(w http.ResponseWriter, r *http.Request, proof policy.Proof) (*session.Entry, error) {
	if mark := k.earmark(&proof, k.s.Now().UTC()); mark != nil {
		if _, err := k.s.Store.OpenTransaction(r.Context(), *mark, mark.CreatedAt); err != nil {
			return nil, k.s.unavailable(err)
		}
	}
	v, err := k.riseBy(w, r, func() policy.Proof { return proof }, nil)
	if err != nil {
		return nil, k.s.unavailable(err)
	}
	return v, nil
}

// riseBy is rise by a write of the caller's, where there is one; proof is known
// by then. Errors of the write come back as they are.
func (k *walk) riseBy(w http.ResponseWriter, r *http.Request, proof func() policy.Proof, write func(session.Raising) (*session.Risen, error)) (*session.Entry, error) {
	marked := func() policy.Proof {
		p := proof()
		p.Form = k.form
		return p
	}
	change := func(row *session.Session) error { return proving(marked())(row) }
	var entry *session.Entry
	var err error
	if write == nil {
		entry, err = k.s.Sessions.Raise(r.Context(), w, k.s.Place, k.v, change)
	} else {
		entry, err = k.s.Sessions.RaiseBy(r.Context(), w, k.s.Place, k.v, func(raising session.Raising) (*session.Risen, error) {
			raising.Change = change
			return write(raising)
		})
	}
	if errors.Is(err, session.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	k.s.risen(w, r, entry, marked(), deviceChoices{k.s}.asksDevice(entry, k.c))
	return entry, nil
}

// proving adds a proof to a session. That of a soft token makes its device a
// private one, for as long as the session lives.
func proving(proof policy.Proof) func(*session.Session) error {
	return func(row *session.Session) error {
		if proof.Factor == policy.DevicePIN {
			row.Device, row.DeviceID = device.Private, proof.Credential
		}
		return addProof(proof)(row)
	}
}

// raise adds a proof to v's session; nobody is left where that has ended.
func (s *Site) raise(w http.ResponseWriter, r *http.Request, v *session.Entry, proof policy.Proof) (*session.Entry, error) {
	entry, err := s.Sessions.Raise(r.Context(), w, s.Place, v, proving(proof))
	if errors.Is(err, session.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, s.unavailable(err)
	}
	s.risen(w, r, entry, proof, false)
	return entry, nil
}

// risen believes the place of a second factor, and lets a browser that is no
// public one, nor may yet become one (open), be known by it.
func (s *Site) risen(w http.ResponseWriter, r *http.Request, entry *session.Entry, proof policy.Proof, open bool) {
	if !proof.Factor.Possession() {
		return
	}
	owner, known := entry.Owner.Account, entry.Session.Device != device.Public && !open
	shown := acquaintances{s}.shown(r, owner.ID)
	if shown.Browser == "" {
		shown.Browser = rand.Text()
	}
	if s.Scorer != nil {
		b := s.belief(r, owner.ID)
		b.Browser, b.Proved = shown, known
		shown.Turn = s.Scorer.Believe(r.Context(), b)
	}
	if known {
		acquaintances{s}.acquaint(w, r, owner, shown)
	}
}

// earmark makes a proof one for a request or an operation alone, where it is
// asked for that, and gives the transaction that it is spent from; nil for
// others.
func (k *walk) earmark(proof *policy.Proof, now time.Time) *ceremony.Transaction {
	if k.c.Kind != ceremony.Operate && !k.s.asksOnce(k.v, k.c) {
		return nil
	}
	proof.Once = k.c.Once
	id := ceremony.OnceTransaction(k.v.Session.ID, *proof)
	return &ceremony.Transaction{
		ID: id, Session: k.v.Session.ID, Key: "once/" + id, Actor: k.v.Owner.Account.ID, Subject: k.v.Owner.Account.ID,
		Site: k.s.Place.Origin, Purpose: "once", Factor: proof.Factor, CreatedAt: now, ExpiresAt: now.Add(ceremony.TransactionTTL), Version: 1,
	}
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
