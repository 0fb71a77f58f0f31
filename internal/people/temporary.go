package people

import (
	"context"
	"fmt"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
)

// The life of a temporary code.
const (
	DefaultTemporaryLife = time.Hour
	MaxTemporaryLife     = 24 * time.Hour
	minTemporaryLife     = time.Minute
)

// temporaryFactor is the factor of temporary codes.
const temporaryFactor = "temporary_code"

// TemporaryCodes makes temporary codes.
type TemporaryCodes interface {
	// New returns the credential to keep and the code, which is kept nowhere.
	New(owner account.ID, now time.Time, lifetime time.Duration) (account.Credential, string, error)
}

// Temporary is a code that was issued: shown once, to whoever asked for it.
type Temporary struct {
	Account   account.Account
	Code      account.Secret
	ExpiresAt time.Time
}

// IssueTemporaryCode gives somebody who has nothing else at hand a code of
// one use. Codes that the account had before end. A lifetime of 0 is an hour;
// the longest is a day. ErrWaiting and ErrUnchecked are as for ResetFactors; a
// code that was approved is issued to whoever asked for it.
func (p *People) IssueTemporaryCode(ctx context.Context, actor Actor, who Who, lifetime time.Duration, reason string) (Temporary, error) {
	if lifetime == 0 {
		lifetime = DefaultTemporaryLife
	}
	if lifetime < minTemporaryLife || lifetime > MaxTemporaryLife {
		return Temporary{}, invalid(say("a temporary code cannot live for %s", lifetime), say("give it from 1m to 24h"))
	}
	var issued Temporary
	waiting := false
	err := p.changeAccount(ctx, actor, who, ActTemporaryCode, func(tx Tx, current Actor, a account.Account) (audit.Event, error) {
		if a.Suspended() {
			return audit.Event{}, refused(say("account %q is suspended", a.Username), say("resume it first"))
		}
		detail, waits, err := p.mayIssue(ctx, tx, current, a)
		if waiting = waits; waiting && err == nil {
			issued.Account = a
			return p.ask(ctx, tx, current, a, asked{Act: ActTemporaryCode, Reason: reason, Ticket: ticketOf(detail), Lifetime: lifetime})
		}
		if err != nil {
			return audit.Event{}, err
		}
		if err := endTemporary(ctx, tx, a.ID); err != nil {
			return audit.Event{}, err
		}
		credential, code, err := p.Temporary.New(a.ID, p.now(), lifetime)
		if err != nil {
			return audit.Event{}, err
		}
		if err := tx.InsertCredential(ctx, credential); err != nil {
			return audit.Event{}, fmt.Errorf("keep the temporary code: %w", err)
		}
		if err := p.tell(ctx, tx, p.Notices, Notice{What: ToldTemporaryCode, Account: a, From: Whence{Staff: true}}); err != nil {
			return audit.Event{}, err
		}
		issued = Temporary{Account: a, Code: account.Secret(code), ExpiresAt: p.now().Add(lifetime)}
		e := accountEvent(audit.TokenCreated, a, reason, append(detail, audit.Field{Key: "lifetime", Value: lifetime.String()})...)
		e.Factor, e.Credential = temporaryFactor, string(credential.ID)
		return e, nil
	})
	if err == nil && waiting {
		err = waits(issued.Account)
	}
	if err != nil {
		return Temporary{}, err
	}
	p.Notices.wake()
	return issued, nil
}

// mayIssue tells whether a code may be issued now, or waits for a second
// person. detail is for the event.
func (p *People) mayIssue(ctx context.Context, tx Tx, actor Actor, a account.Account) (detail []audit.Field, waiting bool, err error) {
	if p.needsSecond(actor) {
		got, ok, err := p.collect(ctx, tx, actor, a.ID, ActTemporaryCode)
		if err != nil || ok {
			return append(ticketField(got.Ticket), audit.Field{Key: "approved_by", Value: got.ApprovedBy}), false, err
		}
		waiting = true
	}
	detail, _, err = p.checked(ctx, tx, actor, a)
	return detail, waiting, err
}

// endTemporary takes an account's temporary codes away.
func endTemporary(ctx context.Context, tx Tx, owner account.ID) error {
	held, err := tx.Credentials(ctx, owner)
	if err != nil {
		return fmt.Errorf("list credentials: %w", err)
	}
	for _, c := range held {
		if c.Factor != temporaryFactor {
			continue
		}
		if err := tx.DeleteCredential(ctx, c.ID); err != nil {
			return fmt.Errorf("end a temporary code: %w", err)
		}
	}
	return nil
}
