package people

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/policy"
)

// nearLimit is how many accounts are looked through for a name that may have
// been meant.
const nearLimit = 500

// Who names one account, the way an operator does.
type Who struct {
	Username string `json:"username,omitempty"`
	// Source is needed only where several sources have the username.
	Source string `json:"source,omitempty"`
	// ID, where it is set, says it all.
	ID account.ID `json:"id,omitempty"`
}

// String is how errors call whoever was meant.
func (w Who) String() string {
	switch {
	case w.ID != "":
		return string(w.ID)
	case w.Source != "":
		return w.Username + " (source " + w.Source + ")"
	default:
		return w.Username
	}
}

// Record is everything about an account that may be shown.
type Record struct {
	Account     account.Account
	Credentials []account.Credential
	// HasPassword tells whether a local account can sign in with one.
	HasPassword bool
}

// List returns the accounts that the actor may see and that the filter
// selects, a page of them: f.Limit at most, behind f.After.
func (p *People) List(ctx context.Context, actor Actor, f account.Filter) ([]account.Account, error) {
	actor, err := p.reader(ctx, actor)
	if err != nil {
		return nil, err
	}
	if own := actor.organisation(); own != "" {
		if f.Organisation != "" && f.Organisation != own {
			return nil, noOrganisation(f.Organisation, "")
		}
		f.Organisation = own
	}
	if f.Organisation != "" {
		if _, err := organisation(ctx, p.Store, actor, f.Organisation); err != nil {
			return nil, err
		}
	}
	found, err := p.Store.Accounts(ctx, f)
	if err != nil {
		return nil, fmt.Errorf("list accounts: %w", err)
	}
	return found, nil
}

// Show returns one account with its credentials.
func (p *People) Show(ctx context.Context, actor Actor, who Who) (Record, error) {
	actor, err := p.reader(ctx, actor)
	if err != nil {
		return Record{}, err
	}
	found, err := p.find(ctx, actor, who)
	if err != nil {
		return Record{}, err
	}
	held, err := p.Store.Credentials(ctx, found.ID)
	if err != nil {
		return Record{}, fmt.Errorf("list credentials: %w", err)
	}
	hash, err := p.Store.PasswordHash(ctx, found.ID)
	if err != nil && !errors.Is(err, account.ErrNotFound) {
		return Record{}, fmt.Errorf("read password: %w", err)
	}
	return Record{Account: found, Credentials: held, HasPassword: hash != ""}, nil
}

// reader is the actor as it is now, if it may read accounts.
func (p *People) reader(ctx context.Context, actor Actor) (Actor, error) {
	actor, err := actor.refresh(ctx, p.Store)
	if err != nil {
		return Actor{}, err
	}
	return actor, actor.may(ActFind)
}

// find reads the account that is meant. An account in an organisation that
// the actor does not see is not found.
func (p *People) find(ctx context.Context, actor Actor, who Who) (account.Account, error) {
	matches, err := p.matches(ctx, who)
	if err != nil {
		return account.Account{}, err
	}
	matches = slices.DeleteFunc(matches, func(a account.Account) bool { return !actor.sees(a.Organisation) })
	switch len(matches) {
	case 1:
		return matches[0], nil
	case 0:
		suggestion, err := p.nearestUsername(ctx, actor, who)
		if err != nil {
			return account.Account{}, err
		}
		return account.Account{}, noAccount(who.String(), suggestion)
	default:
		sources := make([]string, 0, len(matches))
		for _, m := range matches {
			sources = append(sources, m.Source)
		}
		return account.Account{}, refused(say("several sources have an account %q: %s", who.Username, list(sources)), say("say which one with --source"))
	}
}

func (p *People) matches(ctx context.Context, who Who) ([]account.Account, error) {
	folded := account.FoldUsername(who.Username)
	var one account.Account
	var err error
	switch {
	case who.ID != "":
		one, err = p.Store.Account(ctx, who.ID)
	case folded == "":
		return nil, nil
	case who.Source != "":
		one, err = p.Store.AccountByUsername(ctx, who.Source, folded)
	default:
		// Of all sources, those that no site names any more as well.
		same, err := p.Store.AccountsNamed(ctx, folded)
		if err != nil {
			return nil, fmt.Errorf("look for an account: %w", err)
		}
		return same, nil
	}
	if errors.Is(err, account.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read account: %w", err)
	}
	return []account.Account{one}, nil
}

// nearestUsername looks through the first accounts only: it is a courtesy.
func (p *People) nearestUsername(ctx context.Context, actor Actor, who Who) (string, error) {
	if who.Username == "" {
		return "", nil
	}
	some, err := p.Store.Accounts(ctx, account.Filter{Organisation: actor.organisation(), Source: who.Source, Limit: nearLimit})
	if err != nil {
		return "", fmt.Errorf("list accounts: %w", err)
	}
	names := make([]string, 0, len(some))
	for _, a := range some {
		names = append(names, a.Username)
	}
	return policy.Nearest(who.Username, names), nil
}
