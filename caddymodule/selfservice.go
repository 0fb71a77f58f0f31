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
	site.Elsewhere = elsewhere(ceremonies.Passwords)
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

// elsewhere changes passwords at the sources of a site that let people.
type elsewhere []signin.PasswordChecker

func (e elsewhere) changer(owner account.Account) signin.PasswordChanger {
	for _, source := range e {
		if source.Name() == owner.Source && owner.Subject != "" {
			return signin.Changes(source)
		}
	}
	return nil
}

// Changes implements selfservice.Elsewhere.
func (e elsewhere) Changes(owner account.Account) bool { return e.changer(owner) != nil }

// Compare implements selfservice.Elsewhere.
func (e elsewhere) Compare(ctx context.Context, owner account.Account, password account.Secret) (bool, error) {
	_, err := signin.CheckKnown(ctx, e.changer(owner), owner, password)
	if errors.Is(err, signin.ErrRefused) {
		return false, nil
	}
	return err == nil, err
}

// Change implements selfservice.Elsewhere.
func (e elsewhere) Change(ctx context.Context, owner account.Account, present, chosen account.Secret) (suits bool, err error) {
	err = e.changer(owner).ChangePassword(ctx, signin.Person{Username: owner.Username, Subject: owner.Subject}, present, chosen)
	if errors.Is(err, signin.ErrUnsuitable) {
		return false, nil
	}
	return err == nil, err
}
