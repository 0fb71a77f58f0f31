package caddymodule

import (
	"context"
	"errors"
	"slices"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/internal/signin"
)

// peopleOf gives package people the sign-in sources of a configuration.
func (a *App) peopleOf(r *runtime) *people.People {
	p := *r.people
	p.Sources = nil
	for _, site := range a.sites {
		for _, source := range site.sources {
			known := func(s people.Source) bool { return s.Name == source.Name() }
			if slices.ContainsFunc(p.Sources, known) {
				continue
			}
			named, ok := source.(interface{ subjectIsName() bool })
			p.Sources = append(p.Sources, people.Source{Name: source.Name(), SubjectIsName: ok && named.subjectIsName()})
		}
	}
	return &p
}

// arrive makes the account of somebody for whom a source vouches at their
// first sign-in. account.ErrNotFound says that there can be none: the name is
// somebody else's.
func (r *runtime) arrive(ctx context.Context, who signin.Identity) (account.Account, error) {
	added, err := r.people.AddAccount(ctx, people.Gateway(), people.NewAccount{
		Username: who.Username, Name: who.Name, Email: who.Email, Mobile: who.Mobile, Groups: who.Groups,
		Source: who.Source, Subject: who.Subject, Reason: "first sign-in",
	})
	switch {
	case err == nil:
		return added.Account, nil
	case errors.Is(err, account.ErrTaken):
		// Another request of the same person may have been first.
		return r.store.AccountBySubject(ctx, who.Source, who.Subject)
	case errors.Is(err, people.ErrInvalid):
		return account.Account{}, account.ErrNotFound
	default:
		return account.Account{}, err
	}
}
