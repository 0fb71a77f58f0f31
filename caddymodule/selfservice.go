package caddymodule

import (
	"context"
	"errors"
	"time"

	"github.com/stepgate/stepgate/challenge"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/internal/selfservice"
	"github.com/stepgate/stepgate/internal/signin"
)

// newSelfService makes the pages that people use on their own account.
func (h *Handler) newSelfService(r *runtime, ceremonies *challenge.Site) *selfservice.Site {
	site := &selfservice.Site{
		Web: ceremonies.Web, Pages: h.own, Guard: ceremonies.Guard, Place: ceremonies.Place, Sessions: r.sessions, Store: r.store,
		Ceremonies: ceremonies, Self: &people.Self{People: r.people, Notices: ceremonies.Notices}, Factors: r.factors, Policy: h.gate.Policy,
		Ledger: r.ledger, Plan: r.plan, Sealer: r.ring, Address: clientAddress, Where: h.app.whereIs, Judge: h.judge, Strength: strengthOf, Now: time.Now,
	}
	if h.signsLocal() {
		site.CheckPassword = func(ctx context.Context, owner account.Account, password account.Secret) (bool, error) {
			_, err := r.local.CheckPassword(ctx, owner.Username, password)
			if errors.Is(err, signin.ErrRefused) {
				return false, nil
			}
			return err == nil, err
		}
	}
	return site
}
