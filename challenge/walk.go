package challenge

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/device"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/web"
	"github.com/stepgate/stepgate/policy"
)

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

func (s *Site) walk(v *session.Entry, c ceremony.Continuation, kind policy.Factor, held holdings) *walk {
	k := &walk{
		s: s, v: v, c: c, factor: s.Factors.Find(kind), held: prospects{s}.provable(kind, v, c, held), page: "/challenge/" + string(kind), purpose: "step-up",
	}
	if c.Kind == ceremony.Operate {
		k.purpose = c.Operation
	} else {
		k.forgot = len(held.all[policy.PIN]) > 0 && canReplacePIN(held)
	}
	return k
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
func (k *walk) find(ctx context.Context) (t ceremony.Transaction, stored bool, err error) {
	if _, momentary := k.factor.(factors.Momentary); momentary {
		return k.fresh(), false, nil
	}
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

// scope is the step's for its factor, in a transaction.
func (k *walk) scope(r *http.Request, t ceremony.Transaction) factors.Scope {
	scope := k.s.scope(r, k.v, k.purpose)
	scope.Transaction = t.ID
	p := k.s.purposeOf(k.v, k.c)
	scope.About = factors.About{Method: p.Method, Target: p.Target, Browser: device.Name(r.UserAgent())}
	if p.Operation != "" {
		scope.About.Operation = k.s.Pages.Text(r, k.s.Web, p.Operation)
	}
	if k.s.Where != nil {
		scope.About.Place = k.s.Where(scope.Address)
	}
	return scope
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
