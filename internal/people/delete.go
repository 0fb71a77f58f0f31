package people

import (
	"context"
	"fmt"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
)

// DeleteAccount removes an account with its credentials and ends what it has
// open. The audit trail keeps what it did.
func (p *People) DeleteAccount(ctx context.Context, actor Actor, who Who, reason string) (account.Account, error) {
	var deleted account.Account
	err := p.changeAccount(ctx, actor, who, ActManage, func(tx Tx, _ Actor, a account.Account) (audit.Event, error) {
		deleted = a
		if err := p.endAll(ctx, tx, a.ID); err != nil {
			return audit.Event{}, err
		}
		if err := tx.DeleteCredentials(ctx, a.ID); err != nil {
			return audit.Event{}, fmt.Errorf("delete credentials: %w", err)
		}
		if err := tx.DeleteAccount(ctx, a.ID); err != nil {
			return audit.Event{}, fmt.Errorf("delete account: %w", err)
		}
		return accountEvent(audit.UserDeleted, a, reason), nil
	})
	return deleted, err
}
