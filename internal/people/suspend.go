package people

import (
	"context"
	"fmt"
	"slices"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
)

// passing are the factors whose credentials end with a suspension or a reset:
// temporary codes and private devices (contract, section 7).
var passing = []string{temporaryFactor, deviceFactor}

// Suspend takes an account out of use: nobody signs in to it, and everything
// it has open ends. Suspending twice changes nothing.
func (p *People) Suspend(ctx context.Context, actor Actor, who Who, reason string) (account.Account, error) {
	var suspended account.Account
	err := p.changeAccount(ctx, actor, who, ActManage, func(tx Tx, _ Actor, a account.Account) (audit.Event, error) {
		suspended = a
		if !a.Suspended() {
			suspended.SuspendedAt = p.now()
		}
		if err := tx.UpdateAccount(ctx, suspended); err != nil {
			return audit.Event{}, fmt.Errorf("suspend account: %w", err)
		}
		if err := p.endAll(ctx, tx, a.ID); err != nil {
			return audit.Event{}, err
		}
		return accountEvent(audit.UserSuspended, a, reason), nil
	})
	return suspended, err
}

// Resume takes a suspended account into use again. What was ended stays
// ended.
func (p *People) Resume(ctx context.Context, actor Actor, who Who, reason string) (account.Account, error) {
	var resumed account.Account
	err := p.changeAccount(ctx, actor, who, ActManage, func(tx Tx, _ Actor, a account.Account) (audit.Event, error) {
		if !a.Suspended() {
			return audit.Event{}, refused(say("account %q is not suspended", a.Username), Phrase{})
		}
		resumed = a
		resumed.SuspendedAt = account.Account{}.SuspendedAt
		if err := tx.UpdateAccount(ctx, resumed); err != nil {
			return audit.Event{}, fmt.Errorf("resume account: %w", err)
		}
		return accountEvent(audit.UserResumed, a, reason), nil
	})
	return resumed, err
}

// endAll ends what an account has open: sessions, challenges, temporary
// codes, private devices and browsers that are remembered.
func (p *People) endAll(ctx context.Context, tx Tx, owner account.ID) error {
	held, err := tx.Credentials(ctx, owner)
	if err != nil {
		return fmt.Errorf("list credentials: %w", err)
	}
	for _, c := range held {
		if !slices.Contains(passing, c.Factor) {
			continue
		}
		if err := tx.DeleteCredential(ctx, c.ID); err != nil {
			return fmt.Errorf("end %s: %w", c.Factor, err)
		}
	}
	if err := p.forgetBrowser(ctx, tx, owner, ""); err != nil {
		return err
	}
	if err := tx.DropTransactions(ctx, owner); err != nil {
		return fmt.Errorf("end challenges: %w", err)
	}
	if err := tx.EndAccountSessions(ctx, owner, ""); err != nil {
		return fmt.Errorf("end sessions: %w", err)
	}
	return nil
}
