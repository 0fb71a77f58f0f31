package people

import (
	"context"
	"fmt"
	"slices"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
)

// deviceFactor is the factor whose credentials are private devices.
const deviceFactor = "device_pin"

// phoneFactor is the factor whose credentials are paired phones.
const phoneFactor = "approval"

// RevokeDevice ends a private device of somebody else's account, and its
// sessions, on every node within a second.
func (p *People) RevokeDevice(ctx context.Context, actor Actor, who Who, id account.CredentialID, reason string) (account.Account, error) {
	var owner account.Account
	err := p.changeAccount(ctx, actor, who, ActResetFactors, func(tx Tx, _ Actor, a account.Account) (audit.Event, error) {
		owner = a
		return deviceEvent(a, id, reason), p.revokeHeld(ctx, tx, id, deviceFactor, Notice{What: ToldDeviceRemoved, Account: a, From: Whence{Staff: true}})
	})
	p.Notices.wake()
	return owner, err
}

// RevokePhone ends the pairing of a phone with somebody else's account: what it
// has proved counts no more, on every node within a second.
func (p *People) RevokePhone(ctx context.Context, actor Actor, who Who, id account.CredentialID, reason string) (account.Account, error) {
	var owner account.Account
	err := p.changeAccount(ctx, actor, who, ActResetFactors, func(tx Tx, _ Actor, a account.Account) (audit.Event, error) {
		owner = a
		e := accountEvent(audit.FactorDisabled, a, reason)
		e.Factor, e.Credential = phoneFactor, string(id)
		return e, p.revokeHeld(ctx, tx, id, phoneFactor, Notice{What: ToldFactorRemoved, Account: a, From: Whence{Staff: true}})
	})
	p.Notices.wake()
	return owner, err
}

// revokeHeld removes a credential of a factor, and tells its person.
func (p *People) revokeHeld(ctx context.Context, tx Tx, id account.CredentialID, factor string, told Notice) error {
	held, err := tx.Credentials(ctx, told.Account.ID)
	if err != nil {
		return fmt.Errorf("list credentials: %w", err)
	}
	at := slices.IndexFunc(held, func(c account.Credential) bool { return c.ID == id && c.Factor == factor })
	if at < 0 {
		return refused(say("account %q has no such device", told.Account.Username), Phrase{})
	}
	told.Credential = held[at]
	if err := tx.RevokeDevice(ctx, told.Account.ID, told.Credential.ID); err != nil {
		return fmt.Errorf("revoke device: %w", err)
	}
	return p.tell(ctx, tx, p.Notices, told)
}

func deviceEvent(a account.Account, id account.CredentialID, reason string) audit.Event {
	e := accountEvent(audit.DeviceRevoked, a, reason)
	e.Factor, e.Credential = deviceFactor, string(id)
	return e
}
