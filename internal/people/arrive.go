package people

import (
	"context"
	"errors"
	"slices"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/signin"
)

// Arrive finds the account of who a sign-in source says is at the door, and
// makes it where the source may. What the source says of their name and
// groups replaces what the record says, at each sign-in; addresses only
// prefill a new account, for a credential comes from a code (contract,
// section 8), and nobody is given another username behind the operator's
// back. ErrPinned says that a name, by which alone the source knows people,
// has led to somebody else before. account.ErrNotFound says that there is no account, or that none can
// be made; a suspended one is returned as it is.
func (p *People) Arrive(ctx context.Context, who signin.Identity) (account.Account, error) {
	if who.ByName {
		return p.arriveByName(ctx, who)
	}
	return p.arrive(ctx, who)
}

func (p *People) arrive(ctx context.Context, who signin.Identity) (account.Account, error) {
	who.Groups = keepable(who.Groups)
	found, err := p.known(ctx, who)
	switch {
	case errors.Is(err, account.ErrNotFound) && who.Subject != "" && who.MayCreate && who.Source != account.LocalSource:
		return p.firstTime(ctx, who)
	case err != nil || found.Suspended() || who.Source == account.LocalSource:
		return found, err
	}
	said := saidOf(found, who)
	if said.empty() {
		return found, nil
	}
	return p.EditAccount(ctx, Gateway(), Who{ID: found.ID}, said)
}

// known reads the account that a source means, if there is one.
func (p *People) known(ctx context.Context, who signin.Identity) (account.Account, error) {
	switch {
	case who.Source == account.LocalSource:
		return p.Store.Account(ctx, account.ID(who.Subject))
	case who.Subject == "":
		return p.Store.AccountByUsername(ctx, who.Source, account.FoldUsername(who.Username))
	default:
		return p.Store.AccountBySubject(ctx, who.Source, who.Subject)
	}
}

// firstTime makes the account of somebody for whom a source vouches. That the
// name is somebody else's, or is none, looks as if there were no account.
func (p *People) firstTime(ctx context.Context, who signin.Identity) (account.Account, error) {
	added, err := p.AddAccount(ctx, Gateway(), NewAccount{
		Username: who.Username, Name: who.Name, Email: who.Email, Mobile: who.Mobile, Groups: who.Groups,
		Source: who.Source, Subject: who.Subject, Reason: "first sign-in",
	})
	switch {
	case err == nil:
		return added.Account, nil
	case errors.Is(err, account.ErrTaken):
		// Another request of the same person may have been first.
		return p.Store.AccountBySubject(ctx, who.Source, who.Subject)
	case errors.Is(err, ErrInvalid):
		return account.Account{}, account.ErrNotFound
	default:
		return account.Account{}, err
	}
}

// saidOf is what a source says of an account that its record does not say.
func saidOf(a account.Account, who signin.Identity) Changes {
	c := Changes{Reason: "said by the source at sign-in"}
	if name, err := cleanName(who.Name); err == nil && name != "" && name != a.Name {
		c.Name = &name
	}
	if groups, err := cleanGroups(who.Groups); (who.GroupsKnown || len(groups) > 0) && (err != nil || !slices.Equal(groups, a.Groups)) {
		c.Groups = &who.Groups
	}
	return c
}

// keepable are the groups without those that no header could carry (contract,
// section 6).
func keepable(groups []string) []string {
	return slices.DeleteFunc(slices.Clone(groups), func(g string) bool {
		_, err := cleanGroups([]string{g})
		return err != nil
	})
}
