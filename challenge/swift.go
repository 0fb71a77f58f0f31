package challenge

import (
	"context"
	"errors"
	"net/http"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/throttle"
	"github.com/stepgate/stepgate/policy"
)

// current tells whether the visitor's identifier is the session's newest.
func (k *walk) current() bool { return k.v.Session.SupersededAt.IsZero() }

// verifyAtOnce is verify for a factor whose comparison takes no time: the try
// is charged, the answer compared and all that it brings kept in one write,
// where verify waits for the disk three times. Nobody is told the outcome
// before that is durable. It gives false, and has kept nothing, where the
// session ended meanwhile.
func (k *walk) verifyAtOnce(w http.ResponseWriter, r *http.Request, t ceremony.Transaction, answer factors.Answer) (bool, error) {
	a := attempt{transaction: t, scope: k.scope(r, t)}
	keys, take, err := k.s.Ledger.Charging(k.s.Plan.Charges(k.try(r))...)
	if err != nil {
		return false, k.s.unavailable(err)
	}
	var proof policy.Proof
	var p ceremony.Passed
	var refused error // by the factor
	tried := ceremony.Tried{Counters: keys, Charge: func(counters []throttle.Counter) (err error) {
		a.receipt, err = take(counters)
		return err
	}}
	v, err := k.riseBy(w, r, func() policy.Proof { return proof }, func(raising session.Raising) (*session.Risen, error) {
		tried.Account, tried.Session = raising.Account, raising.ID
		tried.Compare = func(ctx context.Context) (*ceremony.Passed, error) {
			verified, err := k.factor.Verify(ctx, a.scope, k.held, t.State, answer)
			if refused = err; err != nil {
				return nil, k.technical(err)
			}
			if proof, p, err = k.brings(r, a, verified); err != nil {
				return nil, err
			}
			p.Raising = raising
			return &p, nil
		}
		risen, err := k.s.Store.Answer(r.Context(), tried, raising.Now)
		if err != nil {
			return nil, err
		}
		return risen, refused
	})
	switch {
	case errors.Is(err, throttle.ErrSpent):
		if !k.stopped(err) {
			return true, k.s.throttled(err, k.others)
		}
		return true, k.show(w, r, factors.Answer{}, nil)
	case refused == nil:
		if v == nil && err == nil {
			return false, nil
		}
		return true, k.lead(w, r, v, p, err)
	case k.technical(refused) != nil:
		return true, k.s.trouble(err)
	case errors.Is(err, refused):
		return true, k.refused(w, r, a.receipt, refused)
	default: // it was not kept that the answer was wrong
		return true, k.s.unavailable(err)
	}
}

// technical is the error of a factor if it is no refusal of the answer.
func (k *walk) technical(err error) error {
	if answerError(k.factor.Kind(), err) == nil {
		return err
	}
	return nil
}
