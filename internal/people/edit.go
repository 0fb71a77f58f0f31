package people

import (
	"context"
	"fmt"
	"strings"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
)

// Changes is what is to be different about an account. A nil field stays as
// it is; one that points to an empty value is emptied.
type Changes struct {
	Username *string `json:"username,omitempty"`
	Email    *string `json:"email,omitempty"`
	Mobile   *string `json:"mobile,omitempty"`
	Name     *string `json:"name,omitempty"`
	// Parts, where they are given, make the name.
	Parts        *account.NameParts `json:"parts,omitempty"`
	Groups       *[]string          `json:"groups,omitempty"` // all of them, not what is added
	Organisation *string            `json:"organisation,omitempty"`
	Role         *account.Role      `json:"role,omitempty"`
	// Version, where it is given, is that of the account which whoever asks has
	// seen: ErrStale where it is another by now.
	Version *int64 `json:"version,omitempty"`
	Reason  string `json:"reason,omitempty"`
}

// empty tells whether nothing is to change.
func (c Changes) empty() bool {
	return c.Username == nil && c.Email == nil && c.Mobile == nil && c.Name == nil && c.Parts == nil &&
		c.Groups == nil && c.Organisation == nil && c.Role == nil
}

// EditAccount changes an account's record. Sessions go on, and see the change
// at their next request. An address changed here is what the record says; no
// credential follows it.
func (p *People) EditAccount(ctx context.Context, actor Actor, who Who, c Changes) (account.Account, error) {
	if c.empty() {
		return account.Account{}, invalid(say("nothing to change"), say("say what is to be different"))
	}
	var edited account.Account
	err := p.changeAccount(ctx, actor, who, ActManage, func(tx Tx, current Actor, a account.Account) (audit.Event, error) {
		if c.Version != nil && *c.Version != a.Version {
			return audit.Event{}, stale(a.Username)
		}
		var err error
		if edited, err = p.apply(c, a); err != nil {
			return audit.Event{}, err
		}
		if edited.Role != a.Role {
			if err := current.mayGrant(edited.Role); err != nil {
				return audit.Event{}, err
			}
		}
		if edited.Organisation != a.Organisation {
			if _, err := organisation(ctx, tx, current, edited.Organisation); err != nil {
				return audit.Event{}, err
			}
		}
		if err := p.free(ctx, tx, edited); err != nil {
			return audit.Event{}, err
		}
		if account.FoldUsername(edited.Username) != account.FoldUsername(a.Username) {
			if err := p.unshared(ctx, tx, edited); err != nil {
				return audit.Event{}, err
			}
		}
		if err := tx.UpdateAccount(ctx, edited); err != nil {
			return audit.Event{}, fmt.Errorf("keep account: %w", err)
		}
		if err := p.tellContacts(ctx, tx, p.Notices, Notice{Account: edited, Before: &a, From: Whence{Staff: true}}); err != nil {
			return audit.Event{}, err
		}
		return editEvent(a, edited, c.Reason), nil
	})
	p.Notices.wake()
	return edited, err
}

// tellContacts tells of addresses that are other ones than before.
func (p *People) tellContacts(ctx context.Context, tx Tx, n *Notices, of Notice) error {
	if of.Before.Email != of.Account.Email {
		of.What = ToldEmailChanged
		if err := p.tell(ctx, tx, n, of); err != nil {
			return err
		}
	}
	if of.Before.Mobile != of.Account.Mobile {
		of.What = ToldMobileChanged
		return p.tell(ctx, tx, n, of)
	}
	return nil
}

// apply returns the account as it would be.
func (p *People) apply(c Changes, a account.Account) (account.Account, error) {
	var problems [6]error
	if c.Username != nil {
		if a.Source != account.LocalSource {
			return account.Account{}, refused(say("the username comes from source %q", a.Source), say("change it there"))
		}
		a.Username, problems[0] = cleanUsername(*c.Username)
	}
	if c.Email != nil {
		a.Email, problems[2] = cleanEmail(*c.Email)
	}
	if c.Mobile != nil {
		a.Mobile, problems[3] = cleanMobile(*c.Mobile, p.Region)
	}
	if c.Name != nil {
		a.Name, problems[1] = cleanName(*c.Name)
	}
	if c.Parts != nil {
		a.Parts, a.Name, problems[1] = cleanParts(*c.Parts)
	}
	if c.Groups != nil {
		a.Groups, problems[4] = cleanGroups(*c.Groups)
	}
	if c.Role != nil {
		a.Role, problems[5] = cleanRole(*c.Role)
	}
	if c.Organisation != nil {
		a.Organisation = strings.TrimSpace(*c.Organisation)
	}
	for i, problem := range problems {
		if problem != nil {
			return account.Account{}, about(recordFields[i], problem)
		}
	}
	return a, nil
}
