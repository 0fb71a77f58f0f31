package people

import (
	"context"
	"fmt"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
)

// ResetFactors removes every credential of an account, so that its owner
// enrols anew, and ends what the account has open. The password stays. It
// returns how many credentials there were. ErrWaiting says that a second
// person has to approve it first, ErrUnchecked that a helpdesk has to check
// the caller first.
func (p *People) ResetFactors(ctx context.Context, actor Actor, who Who, reason string) (account.Account, int, error) {
	var owner account.Account
	var removed int
	waiting := false
	err := p.changeAccount(ctx, actor, who, ActResetFactors, func(tx Tx, current Actor, a account.Account) (audit.Event, error) {
		owner = a
		ticket, keepCheck, err := p.checked(ctx, tx, current, a)
		if err != nil {
			return audit.Event{}, err
		}
		if waiting = p.needsSecond(current); waiting {
			return p.ask(ctx, tx, current, a, asked{Act: ActResetFactors, Reason: reason, Ticket: ticketOf(ticket)})
		}
		event, n, err := p.resetFactors(ctx, tx, a, reason, ticket)
		if removed = n; err != nil {
			return audit.Event{}, err
		}
		return event, keepCheck()
	})
	p.Notices.wake()
	if err == nil && waiting {
		err = waits(owner)
	}
	return owner, removed, err
}

// resetFactors is the reset itself.
func (p *People) resetFactors(ctx context.Context, tx Tx, a account.Account, reason string, detail []audit.Field) (audit.Event, int, error) {
	held, err := tx.Credentials(ctx, a.ID)
	if err != nil {
		return audit.Event{}, 0, fmt.Errorf("list credentials: %w", err)
	}
	if err := p.endAll(ctx, tx, a.ID); err != nil {
		return audit.Event{}, 0, err
	}
	if err := tx.DeleteCredentials(ctx, a.ID); err != nil {
		return audit.Event{}, 0, fmt.Errorf("delete credentials: %w", err)
	}
	if err := p.tell(ctx, tx, p.Notices, Notice{What: ToldFactorsReset, Account: a, From: Whence{Staff: true}}); err != nil {
		return audit.Event{}, 0, err
	}
	event := resetEvent(a, held, reason)
	event.Detail = append(event.Detail, detail...)
	return event, len(held), nil
}
