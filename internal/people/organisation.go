package people

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/policy"
)

// OrganisationRules are what an organisation asks of its accounts. In a change
// nil leaves a rule as it is.
type OrganisationRules struct {
	// Require is a built-in level that its accounts need on every path that is
	// not public; "" for none.
	Require *string `json:"require,omitempty"`
	// Enrolment says who of it may enrol a first second factor: self, contact
	// or invited; "" for what the site says.
	Enrolment *string `json:"enrolment,omitempty"`
}

// apply sets the rules that are given.
func (r OrganisationRules) apply(o *account.Organisation) (err error) {
	if r.Require != nil {
		if o.Require, err = cleanRequire(*r.Require); err != nil {
			return err
		}
	}
	if r.Enrolment != nil {
		o.Enrolment, err = cleanEnrolment(*r.Enrolment)
	}
	return err
}

// enrolments are the rules of enrolment (contract, section 7).
var enrolments = []string{"self", "contact", "invited"}

func cleanEnrolment(typed string) (string, error) {
	rule := strings.TrimSpace(typed)
	if rule == "" || slices.Contains(enrolments, rule) {
		return rule, nil
	}
	return "", invalid(say("there is no enrolment rule %q", rule), say("it is %s", list(enrolments)))
}

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

// Organisation reads one that the actor sees.
func (p *People) Organisation(ctx context.Context, actor Actor, name string) (account.Organisation, error) {
	actor, err := p.reader(ctx, actor)
	if err != nil {
		return account.Organisation{}, err
	}
	return organisation(ctx, p.Store, actor, name)
}

// Requires is the built-in level that an account's organisation asks of it on
// every path that is not public; empty for none.
func (p *People) Requires(ctx context.Context, a account.Account) (string, error) {
	o, err := p.Store.Organisation(ctx, a.Organisation)
	if err != nil {
		return "", fmt.Errorf("read organisation: %w", err)
	}
	return o.Require, nil
}

// AddOrganisation makes one.
func (p *People) AddOrganisation(ctx context.Context, actor Actor, name string, rules OrganisationRules, reason string) (account.Organisation, error) {
	name, err := cleanOrganisationName(name)
	if err != nil {
		return account.Organisation{}, err
	}
	o := account.Organisation{Name: name, CreatedAt: p.now()}
	if err := rules.apply(&o); err != nil {
		return account.Organisation{}, err
	}
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

// EditOrganisation changes an organisation's rules. They are asked for at the
// next request of each of its accounts.
func (p *People) EditOrganisation(ctx context.Context, actor Actor, name string, rules OrganisationRules, reason string) (account.Organisation, error) {
	var o account.Organisation
	if err := rules.apply(&o); err != nil {
		return o, err
	}
	err := p.change(ctx, actor, func(tx Tx, current Actor) (audit.Event, error) {
		if err := current.may(ActOrganise); err != nil {
			return audit.Event{}, err
		}
		var err error
		if o, err = organisation(ctx, tx, current, name); err != nil {
			return audit.Event{}, err
		}
		if err := rules.apply(&o); err != nil {
			return audit.Event{}, err
		}
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
			return audit.Event{}, refused(say("organisation %q stays", o.Name), say("accounts that name no organisation belong to it"))
		}
		if err := tx.DeleteOrganisation(ctx, o.Name); err != nil {
			return audit.Event{}, unlessTechnical(fmt.Errorf("delete organisation: %w", err), &Error{
				Text: say("organisation %q still has accounts", o.Name),
				Mend: say("move or delete them first; `user list --organisation` shows them"),
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
	return account.Organisation{}, noOrganisation(name, policy.Nearest(name, names))
}

// freeOrganisation refuses a name that a person would take for another's.
func freeOrganisation(ctx context.Context, r Reader, name string) error {
	all, err := r.Organisations(ctx)
	if err != nil {
		return fmt.Errorf("list organisations: %w", err)
	}
	for _, o := range all {
		if account.FoldUsername(o.Name) == account.FoldUsername(name) {
			return taken(say("organisation %q exists already", o.Name), say("choose another name, or change it with `organisation edit`"))
		}
	}
	return nil
}

func cleanRequire(typed string) (string, error) {
	level := strings.TrimSpace(typed)
	if level == "" || slices.Contains(requirable, level) {
		return level, nil
	}
	mend := say("an organisation can require %s", list(requirable))
	if meant := policy.Nearest(level, requirable); meant != "" {
		mend = say("did you mean %q?", meant)
	}
	return "", invalid(say("%q is no built-in level", level), mend)
}

// list joins words the way a sentence does.
func list(words []string) Phrase {
	if len(words) < 2 {
		return say("%s", strings.Join(words, ""))
	}
	last := len(words) - 1
	return say("%s or %s", strings.Join(words[:last], ", "), words[last])
}
