package people

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
)

// requirable are the built-in levels that an organisation may require of its
// accounts. `public` requires nothing, and defined levels belong to one site.
var requirable = []string{"signed_in", "mfa", "phishing_resistant"}

// Organisations lists those that the actor sees.
func (p *People) Organisations(ctx context.Context, actor Actor) ([]account.Organisation, error) {
	actor, err := p.reader(ctx, actor)
	if err != nil {
		return nil, err
	}
	all, err := p.Store.Organisations(ctx)
	if err != nil {
		return nil, fmt.Errorf("list organisations: %w", err)
	}
	return slices.DeleteFunc(all, func(o account.Organisation) bool { return !actor.sees(o.Name) }), nil
}

// AddOrganisation makes one. require is the built-in level that its accounts
// need everywhere, or empty.
func (p *People) AddOrganisation(ctx context.Context, actor Actor, name, require, reason string) (account.Organisation, error) {
	name, err := cleanOrganisationName(name)
	if err != nil {
		return account.Organisation{}, err
	}
	if require, err = cleanRequire(require); err != nil {
		return account.Organisation{}, err
	}
	o := account.Organisation{Name: name, Require: require, CreatedAt: p.now()}
	err = p.change(ctx, actor, func(tx Tx, current Actor) (audit.Event, error) {
		if err := current.may(ActOrganise); err != nil {
			return audit.Event{}, err
		}
		if err := freeOrganisation(ctx, tx, name); err != nil {
			return audit.Event{}, err
		}
		if err := tx.InsertOrganisation(ctx, o); err != nil {
			return audit.Event{}, fmt.Errorf("keep organisation: %w", err)
		}
		return organisationEvent(audit.OrganisationCreated, o, reason), nil
	})
	return o, err
}

// EditOrganisation sets the built-in level that the accounts of an
// organisation need on every path that is not public; empty for none. It is
// asked for at their next request.
func (p *People) EditOrganisation(ctx context.Context, actor Actor, name, require, reason string) (account.Organisation, error) {
	require, err := cleanRequire(require)
	if err != nil {
		return account.Organisation{}, err
	}
	var o account.Organisation
	err = p.change(ctx, actor, func(tx Tx, current Actor) (audit.Event, error) {
		if err := current.may(ActOrganise); err != nil {
			return audit.Event{}, err
		}
		if o, err = organisation(ctx, tx, current, name); err != nil {
			return audit.Event{}, err
		}
		o.Require = require
		if err := tx.UpdateOrganisation(ctx, o); err != nil {
			return audit.Event{}, fmt.Errorf("keep organisation: %w", err)
		}
		return organisationEvent(audit.OrganisationUpdated, o, reason), nil
	})
	return o, err
}

// DeleteOrganisation removes one that has no accounts.
func (p *People) DeleteOrganisation(ctx context.Context, actor Actor, name, reason string) error {
	return p.change(ctx, actor, func(tx Tx, current Actor) (audit.Event, error) {
		if err := current.may(ActOrganise); err != nil {
			return audit.Event{}, err
		}
		o, err := organisation(ctx, tx, current, name)
		if err != nil {
			return audit.Event{}, err
		}
		if o.Name == account.DefaultOrganisation {
			return audit.Event{}, refused(fmt.Sprintf("organisation %q stays", o.Name), "accounts that name no organisation belong to it")
		}
		if err := tx.DeleteOrganisation(ctx, o.Name); err != nil {
			return audit.Event{}, unlessTechnical(fmt.Errorf("delete organisation: %w", err), &Error{
				Text: fmt.Sprintf("organisation %q still has accounts", o.Name),
				Mend: "move or delete them first; `user list --organisation` shows them",
				kind: account.ErrInUse,
			})
		}
		return organisationEvent(audit.OrganisationDeleted, o, reason), nil
	})
}

// organisation reads one that the actor sees.
func organisation(ctx context.Context, r Reader, actor Actor, name string) (account.Organisation, error) {
	name = strings.TrimSpace(name)
	if actor.sees(name) {
		o, err := r.Organisation(ctx, name)
		if !errors.Is(err, account.ErrNotFound) {
			return o, err
		}
	}
	all, err := r.Organisations(ctx)
	if err != nil {
		return account.Organisation{}, fmt.Errorf("list organisations: %w", err)
	}
	var names []string
	for _, o := range all {
		if actor.sees(o.Name) {
			names = append(names, o.Name)
		}
	}
	return account.Organisation{}, noOrganisation(name, nearest(name, names))
}

// freeOrganisation refuses a name that a person would take for another's.
func freeOrganisation(ctx context.Context, r Reader, name string) error {
	all, err := r.Organisations(ctx)
	if err != nil {
		return fmt.Errorf("list organisations: %w", err)
	}
	for _, o := range all {
		if account.FoldUsername(o.Name) == account.FoldUsername(name) {
			return taken(fmt.Sprintf("organisation %q exists already", o.Name), "choose another name, or change it with `organisation edit`")
		}
	}
	return nil
}

func cleanRequire(typed string) (string, error) {
	level := strings.TrimSpace(typed)
	if level == "" || slices.Contains(requirable, level) {
		return level, nil
	}
	mend := "an organisation can require " + list(requirable)
	if meant := nearest(level, requirable); meant != "" {
		mend = fmt.Sprintf("did you mean %q?", meant)
	}
	return "", invalid(fmt.Sprintf("%q is no built-in level", level), mend)
}

// list joins words the way a sentence does.
func list(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}
