package people

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
)

// deviceFactor is the factor whose credentials are private devices.
const deviceFactor = "device_pin"

// Device is one private device of an account.
type Device struct {
	ID account.CredentialID
	// Name is of browser and system, or what the person made of it.
	Name                   string
	MadeAt, UsedAt, EndsAt time.Time
}

// Devices lists the private devices of an account that have not ended, the last
// used first. Who may see them is the caller's to know.
func (p *People) Devices(ctx context.Context, owner account.ID) ([]Device, error) {
	held, err := p.Store.Credentials(ctx, owner)
	if err != nil {
		return nil, fmt.Errorf("list credentials: %w", err)
	}
	var all []Device
	for _, c := range held {
		if c.Factor != deviceFactor || p.DeviceEnds == nil {
			continue
		}
		if ends := p.DeviceEnds(c); p.now().Before(ends) {
			all = append(all, Device{ID: c.ID, Name: c.Label, MadeAt: c.CreatedAt, UsedAt: c.LastUsedAt, EndsAt: ends})
		}
	}
	return all, nil
}

// RevokeDevice ends a private device of somebody else's account, and its
// sessions, on every node within a second.
func (p *People) RevokeDevice(ctx context.Context, actor Actor, who Who, id account.CredentialID, reason string) (account.Account, error) {
	var owner account.Account
	err := p.changeAccount(ctx, actor, who, ActResetFactors, func(tx Tx, _ Actor, a account.Account) (audit.Event, error) {
		owner = a
		return deviceEvent(a, id, reason), p.revokeDevice(ctx, tx, p.Notices, Notice{Account: a, Credential: account.Credential{ID: id}, From: Whence{Staff: true}})
	})
	p.Notices.wake()
	return owner, err
}

// RevokeOwnDevice ends a private device of the account that asks. That they may
// is the caller's to know: it is a change that wants a proof made for it. Of a
// device that has gone it says nothing. notices are those of the site.
func (p *People) RevokeOwnDevice(ctx context.Context, owner account.Account, id account.CredentialID, notices *Notices, from Whence) error {
	err := p.Store.Update(ctx, func(tx Tx) error {
		if err := p.revokeDevice(ctx, tx, notices, Notice{Account: owner, Credential: account.Credential{ID: id}, From: from}); err != nil {
			return err
		}
		e := deviceEvent(owner, id, "")
		e.At, e.Outcome, e.Actor = p.now(), "success", string(owner.ID)
		_, err := tx.AppendEvent(ctx, e)
		return err
	})
	if no := (*Error)(nil); errors.As(err, &no) {
		return nil
	}
	notices.wake()
	return err
}

// revokeDevice is the revoking itself, of the device that told names.
func (p *People) revokeDevice(ctx context.Context, tx Tx, notices *Notices, told Notice) error {
	held, err := tx.Credentials(ctx, told.Account.ID)
	if err != nil {
		return fmt.Errorf("list credentials: %w", err)
	}
	at := slices.IndexFunc(held, func(c account.Credential) bool { return c.ID == told.Credential.ID && c.Factor == deviceFactor })
	if at < 0 {
		return refused(fmt.Sprintf("account %q has no such device", told.Account.Username), "")
	}
	told.What, told.Credential = ToldDeviceRemoved, held[at]
	if err := tx.RevokeDevice(ctx, told.Account.ID, told.Credential.ID); err != nil {
		return fmt.Errorf("revoke device: %w", err)
	}
	return p.tell(ctx, tx, notices, told)
}

func deviceEvent(a account.Account, id account.CredentialID, reason string) audit.Event {
	e := accountEvent(audit.DeviceRevoked, a, reason)
	e.Factor, e.Credential = deviceFactor, string(id)
	return e
}
