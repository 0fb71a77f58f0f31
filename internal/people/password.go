package people

import (
	"context"
	"fmt"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
)

// SetPassword gives a local account a password and ends what the account has
// open.
func (p *People) SetPassword(ctx context.Context, actor Actor, who Who, password account.Secret, reason string) (account.Account, error) {
	if err := actor.may(ActManage); err != nil {
		return account.Account{}, err
	}
	// Hashed before the transaction, which must be short.
	owner, err := p.find(ctx, actor, who)
	if err != nil {
		return account.Account{}, err
	}
	if owner.Source != account.LocalSource {
		return account.Account{}, refused(say("the password of %q is checked by source %q", owner.Username, owner.Source), say("change it there"))
	}
	hash, err := p.hash(ctx, password, owner)
	if err != nil {
		return account.Account{}, err
	}
	err = p.changeAccount(ctx, actor, Who{ID: owner.ID}, ActManage, func(tx Tx, _ Actor, a account.Account) (audit.Event, error) {
		if err := tx.SetPasswordHash(ctx, a.ID, hash); err != nil {
			return audit.Event{}, fmt.Errorf("keep password: %w", err)
		}
		if err := p.endAll(ctx, tx, a.ID); err != nil {
			return audit.Event{}, err
		}
		if err := p.tell(ctx, tx, p.Notices, Notice{What: ToldPasswordReset, Account: a, From: Whence{Staff: true}}); err != nil {
			return audit.Event{}, err
		}
		return accountEvent(audit.PasswordChange, a, reason), nil
	})
	p.Notices.wake()
	return owner, err
}

// hash judges a password for an account and hashes it.
func (p *People) hash(ctx context.Context, password account.Secret, owner account.Account) (string, error) {
	if len(password) == 0 {
		return "", invalid(say("the password is empty"), Phrase{})
	}
	if err := p.Passwords.Check(password, owner); err != nil {
		return "", refused(say("this password cannot be used"), say("%s", err.Error()))
	}
	hash, err := p.Passwords.Hash(ctx, password)
	if err != nil {
		return "", fmt.Errorf("hash password: %w", err)
	}
	return hash, nil
}
