package caddymodule

import (
	"context"
	"errors"
	"slices"

	"go.uber.org/zap"

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
			at := slices.IndexFunc(p.Sources, func(s people.Source) bool { return s.Name == source.Name() })
			if at < 0 {
				named, ok := source.(interface{ subjectIsName() bool })
				at, p.Sources = len(p.Sources), append(p.Sources, people.Source{Name: source.Name(), SubjectIsName: ok && named.subjectIsName()})
			}
			for _, other := range site.sources {
				if beside := &p.Sources[at].Beside; other.Name() != source.Name() && !slices.Contains(*beside, other.Name()) {
					*beside = append(*beside, other.Name())
				}
			}
		}
	}
	return &p
}

// shadowed tells whether the username of an account is, at this site, that of
// another source's account. The site's first source has the name: two people
// of one name cannot be told apart by the app. Names are unique where they are
// made; sources that met by a change of the configuration may share some.
func (h *Handler) shadowed(r *runtime) func(context.Context, account.Account) (bool, error) {
	return func(ctx context.Context, a account.Account) (bool, error) {
		for _, source := range h.sources {
			if source.Name() == a.Source {
				break
			}
			_, err := r.store.AccountByUsername(ctx, source.Name(), account.FoldUsername(a.Username))
			switch {
			case err == nil:
				h.logger.Warn("a sign-in was refused: an account of another source has this username; rename one of them",
					zap.String("account", string(a.ID)), zap.String("source", a.Source), zap.String("other_source", source.Name()))
				return true, nil
			case !errors.Is(err, account.ErrNotFound):
				return false, err
			}
		}
		return false, nil
	}
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
