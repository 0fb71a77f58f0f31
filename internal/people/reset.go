package people

import (
	"context"
	"fmt"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
)

// ResetFactors removes every credential of an account, so that its owner
// enrols anew, and ends what the account has open. The password stays. It
// returns how many credentials there were.
func (p *People) ResetFactors(ctx context.Context, actor Actor, who Who, reason string) (account.Account, int, error) {
	var owner account.Account
	var removed int
	err := p.changeAccount(ctx, actor, who, ActResetFactors, func(tx Tx, _ Actor, a account.Account) (audit.Event, error) {
		held, err := tx.Credentials(ctx, a.ID)
		if err != nil {
			return audit.Event{}, fmt.Errorf("list credentials: %w", err)
		}
		owner, removed = a, len(held)
		if err := endAll(ctx, tx, a.ID); err != nil {
			return audit.Event{}, err
		}
		if err := tx.DeleteCredentials(ctx, a.ID); err != nil {
			return audit.Event{}, fmt.Errorf("delete credentials: %w", err)
		}
		if err := p.tell(ctx, tx, p.Notices, Notice{What: ToldFactorsReset, Account: a, From: Whence{Staff: true}}); err != nil {
			return audit.Event{}, err
		}
		return resetEvent(a, held, reason), nil
	})
	p.Notices.wake()
	return owner, removed, err
}
