package people

import (
	"context"
	"fmt"
	"slices"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
)

// keyFactor is the factor of what an administrator can register for somebody:
// a thing that is handed over. The seed of an authenticator app would be known
// to two.
const keyFactor = "webauthn"

// Handover is a security key that an administrator has registered for somebody.
type Handover struct {
	// Transaction is that of the ceremony in which the key answered; it is
	// redeemed: ceremony.ErrTransactionGone when it was before.
	Transaction string
	// Credential is the key. Whose and since when it is, is filled in here.
	Credential account.Credential
}

// RegisterKey keeps a key for somebody: with the end of its ceremony and the
// event, or not at all. The key counts at once, for the administrator has
// vouched for who gets it.
func (p *People) RegisterKey(ctx context.Context, actor Actor, who Who, h Handover, reason string) (account.Credential, error) {
	c := h.Credential
	if c.Factor != keyFactor {
		return c, refused(say("only a security key can be registered for somebody else"), say("they set up anything else themselves"))
	}
	err := p.changeAccount(ctx, actor, who, ActManage, func(tx Tx, _ Actor, a account.Account) (audit.Event, error) {
		if a.Suspended() {
			return audit.Event{}, refused(say("account %q is suspended", a.Username), say("resume it first"))
		}
		t, err := tx.Transaction(ctx, h.Transaction, p.now())
		if err == nil && (t.Subject != a.ID || !actor.Is(t.Actor)) {
			return audit.Event{}, refused(say("this key was registered for somebody else"), say("begin again"))
		}
		if err == nil {
			err = tx.RedeemTransaction(ctx, h.Transaction, p.now())
		}
		if err != nil {
			return audit.Event{}, fmt.Errorf("end the ceremony: %w", err)
		}
		held, err := tx.Credentials(ctx, a.ID)
		if err != nil {
			return audit.Event{}, fmt.Errorf("list credentials: %w", err)
		}
		c.ID, c.Account, c.CreatedAt = account.NewCredentialID(), a.ID, p.now()
		c.BoundBy, c.CountsFrom = nil, account.Account{}.CreatedAt
		c.Default = !slices.ContainsFunc(held, func(other account.Credential) bool { return other.Default })
		if err := tx.InsertCredential(ctx, c); err != nil {
			return audit.Event{}, unlessTechnical(fmt.Errorf("keep the key: %w", err), taken(say("this key is somebody's already"), say("use another")))
		}
		if err := p.tell(ctx, tx, p.Notices, Notice{What: ToldFactorAdded, Account: a, Credential: c, Held: held, From: Whence{Staff: true}}); err != nil {
			return audit.Event{}, err
		}
		e := accountEvent(audit.OnBehalf, a, reason, audit.Field{Key: "done", Value: "register-key"})
		e.Factor, e.Credential = c.Factor, string(c.ID)
		return e, nil
	})
	p.Notices.wake()
	return c, err
}
