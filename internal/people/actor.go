package people

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/stepgate/stepgate/internal/account"
)

// Action is a kind of thing that is done to accounts, as far as the roles
// tell them apart.
type Action string

// The actions.
const (
	// ActFind is finding and reading accounts.
	ActFind Action = "find"
	// ActResetFactors is taking away somebody's credentials, so that they
	// enrol anew.
	ActResetFactors Action = "reset factors"
	// ActTemporaryCode is issuing a code of one use to somebody who has
	// nothing else at hand.
	ActTemporaryCode Action = "issue temporary codes"
	// ActManage is everything else that is done to an account.
	ActManage Action = "manage accounts"
	// ActOrganise is adding, changing and deleting organisations.
	ActOrganise Action = "manage organisations"
	// ActAudit is reading the audit trail, which is about all organisations.
	ActAudit Action = "read the audit trail"
)

// rights says which roles may do what at all.
var rights = map[Action][]account.Role{
	ActFind:          {account.RoleHelpdesk, account.RoleAdmin, account.RoleOwner, account.RoleAuditor},
	ActResetFactors:  {account.RoleHelpdesk, account.RoleAdmin, account.RoleOwner},
	ActTemporaryCode: {account.RoleHelpdesk, account.RoleAdmin, account.RoleOwner},
	ActManage:        {account.RoleAdmin, account.RoleOwner},
	ActOrganise:      {account.RoleOwner},
	ActAudit:         {account.RoleOwner, account.RoleAuditor},
}

// everywhere are the roles that are not confined to their own organisation.
var everywhere = []account.Role{account.RoleOwner, account.RoleAuditor}

// Actor is who does something. The zero value is nobody and may do nothing.
type Actor struct {
	account  account.Account
	operator bool
	// name is how the trail calls an operator.
	name string
	// origin is what a page knows of the request.
	origin Origin
	// second is set where the actor wants a second person to approve.
	second bool
}

// Origin is where a request of an actor came from, for the audit trail.
type Origin struct{ Site, Address, UserAgent, Session string }

// From is the actor with where their request came from.
func (a Actor) From(o Origin) Actor {
	a.origin = o
	return a
}

// Is tells whether the actor is an account.
func (a Actor) Is(id account.ID) bool { return !a.operator && a.account.ID == id }

// id is how the trail names the actor.
func (a Actor) id() string {
	if a.operator {
		return a.name
	}
	return string(a.account.ID)
}

// Operator is whoever runs commands on the server: everything is allowed.
func Operator() Actor { return Actor{operator: true, name: "command"} }

// Gateway is the gateway itself: it makes accounts of people for whom a
// sign-in source vouches.
func Gateway() Actor { return Actor{operator: true, name: "gateway"} }

// As is the account of somebody signed in. Its role and organisation are read
// again in the transaction of whatever it does.
func As(a account.Account) Actor { return Actor{account: a} }

// IsOperator tells whether this is whoever runs commands on the server.
func (a Actor) IsOperator() bool { return a.operator }

// Permit tells whether an actor may do this at all, by their role as it is now.
func (p *People) Permit(ctx context.Context, actor Actor, act Action) error {
	actor, err := actor.refresh(ctx, p.Store)
	if err != nil {
		return err
	}
	return actor.may(act)
}

// May tells whether an actor may do this to that account, by their role as it
// is now.
func (p *People) May(ctx context.Context, actor Actor, act Action, subject account.Account) error {
	actor, err := actor.refresh(ctx, p.Store)
	if err != nil {
		return err
	}
	return actor.mayDo(act, subject)
}

// refresh reads the actor's account as it is now. An actor that is suspended
// or gone since is refused.
func (a Actor) refresh(ctx context.Context, r Reader) (Actor, error) {
	if a.operator {
		return a, nil
	}
	current, err := r.Account(ctx, a.account.ID)
	switch {
	case errors.Is(err, account.ErrNotFound), err == nil && current.Suspended():
		return Actor{}, forbidden(say("your own account is not in use any more"), say("ask an owner of this gateway"))
	case err != nil:
		return Actor{}, fmt.Errorf("read the actor's account: %w", err)
	}
	a.account = current
	return a, nil
}

// may tells whether the actor may do this to some account or other.
func (a Actor) may(act Action) error {
	if a.operator || slices.Contains(rights[act], a.account.Role) {
		return nil
	}
	return forbidden(say("role %q may not %s", a.account.Role, act), say("an owner can give a role that may"))
}

// organisation is the one that the actor is confined to, or empty.
func (a Actor) organisation() string {
	if a.operator || slices.Contains(everywhere, a.account.Role) {
		return ""
	}
	return a.account.Organisation
}

// sees tells whether an organisation exists as far as the actor knows.
func (a Actor) sees(organisation string) bool {
	own := a.organisation()
	return own == "" || own == organisation
}

// mayDo tells whether the actor may do this to that account. What the actor
// cannot see is answered as if it did not exist.
func (a Actor) mayDo(act Action, subject account.Account) error {
	if err := a.may(act); err != nil {
		return err
	}
	if !a.sees(subject.Organisation) {
		return noAccount(subject.Username, "")
	}
	if a.operator || act == ActFind {
		return nil
	}
	if subject.ID == a.account.ID {
		return forbidden(say("nobody acts on their own account here"), say("use the account page, or ask another administrator"))
	}
	if a.below(subject.Role) {
		return forbidden(say("%s has role %q, which is above yours", subject.Username, subject.Role), say("ask somebody with that role"))
	}
	return nil
}

// mayGrant tells whether the actor may give an account this role.
func (a Actor) mayGrant(role account.Role) error {
	if a.below(role) {
		return forbidden(say("role %q is above yours", role), say("ask somebody with that role to give it"))
	}
	return nil
}

// below tells whether a role is higher than the actor's. An auditor's reach
// is an owner's, so for everyone else it counts as one.
func (a Actor) below(role account.Role) bool {
	if a.operator {
		return false
	}
	return role.Above(a.account.Role) || role == account.RoleAuditor && a.account.Role != account.RoleOwner
}
