package people

import (
	"context"
	"fmt"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
)

// SwitchTwoFactor makes every page that is not public ask somebody for a
// second factor, or takes that back. What the policy and their organisation
// ask for stays.
func (p *People) SwitchTwoFactor(ctx context.Context, actor Actor, who Who, on bool, reason string) (account.Account, error) {
	var switched account.Account
	err := p.changeAccount(ctx, actor, who, ActManage, func(tx Tx, _ Actor, a account.Account) (audit.Event, error) {
		switched = a
		switched.TwoFactor = on
		if err := tx.UpdateAccount(ctx, switched); err != nil {
			return audit.Event{}, fmt.Errorf("switch two-factor sign-in: %w", err)
		}
		word, told := "off", ToldTwoFactorOff
		if on {
			word, told = "on", ToldTwoFactorOn
		}
		if err := p.tell(ctx, tx, p.Notices, Notice{What: told, Account: a, From: Whence{Staff: true}}); err != nil {
			return audit.Event{}, err
		}
		return accountEvent(audit.AccessChange, a, reason, audit.Field{Key: "two_factor", Value: word}), nil
	})
	p.Notices.wake()
	return switched, err
}
