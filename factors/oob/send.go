package oob

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/factors/delivery"
	"github.com/stepgate/stepgate/internal/account"
)

// Outbox sends messages (delivery.Outbox).
type Outbox interface {
	Send(ctx context.Context, m delivery.Message) error
}

// Spending is one message that is about to be sent.
type Spending struct {
	Channel string
	// Destination is E.164 or a folded e-mail address.
	Destination string
	Account     account.ID
	// Address is the client's.
	Address netip.Addr
	// Country is the ISO code of a number's country.
	Country string
	// Held says that it goes to a credential that the account has already.
	Held bool
	Site string
}

// Budget decides whether a message may be sent at all.
type Budget interface {
	// Spend takes one message from every budget that it counts against, or
	// from none: the error then tells the page when to try again, and comes
	// back from the factor wrapped. giveBack is called when the message was
	// not sent.
	Spend(ctx context.Context, s Spending) (giveBack func(context.Context) error, err error)
	// Answered is told that a code of the channel was answered rightly.
	Answered(ctx context.Context, channel string, owner account.ID) error
}

// Keys make and check MACs (keys.Ring).
type Keys interface {
	MAC(purpose string, parts ...[]byte) []byte
	VerifyMAC(purpose string, mac []byte, parts ...[]byte) bool
}

// recipient is where a code goes and whose address that is.
type recipient struct {
	address
	credential account.CredentialID
}

// send makes a code in place of the one before and sends it. Budgets come
// first: a message that may not be sent voids nothing.
func (f *Factor) send(ctx context.Context, scope factors.Scope, to recipient) error {
	giveBack, err := f.budget.Spend(ctx, Spending{
		Channel: string(f.Kind()), Destination: f.channel.fold(to.to), Account: scope.Account.ID, Address: scope.Address,
		Country: to.country, Held: to.credential != "", Site: scope.Site,
	})
	if err != nil {
		return fmt.Errorf("send code: %w", err)
	}
	code := newCode()
	made, err := f.replace(ctx, scope, to, code)
	if err != nil {
		return errors.Join(err, giveBack(ctx))
	}
	m := delivery.Message{Channel: string(f.Kind()), To: to.to, Account: string(scope.Account.ID), ExpiresAt: made.ExpiresAt, Charged: true}
	m.Subject, m.Body = f.channel.compose(letter{scope, code, minutes(f.lifetime)})
	if err := f.outbox.Send(ctx, m); err != nil {
		return errors.Join(notSent(err, to), f.codes.DropCode(ctx, made.Slot, made.MAC), giveBack(ctx))
	}
	return nil
}

// replace keeps the code in its slot, unless it comes too soon.
func (f *Factor) replace(ctx context.Context, scope factors.Scope, to recipient, code string) (Code, error) {
	slot := f.slot(scope)
	made := Code{
		Slot: slot, Transaction: scope.Transaction, Credential: to.credential,
		MAC: f.keys.MAC(macPurpose, bound(slot, scope, to.to, code)...), To: f.toMAC(to.to), SentAt: scope.Now, ExpiresAt: scope.Now.Add(f.lifetime),
	}
	err := f.codes.ReplaceCode(ctx, slot, func(present Code) (Code, error) {
		wait, no := present.resendAfter(scope.Transaction, made.To, scope.Now)
		switch {
		case no:
			return Code{}, fmt.Errorf("%w: five codes were sent for this", factors.ErrUnavailable)
		case wait > 0:
			return Code{}, &factors.TooSoon{After: wait}
		}
		made.Sends = 1
		if present.Transaction == scope.Transaction {
			made.Sends = present.Sends + 1
		}
		return made, nil
	})
	return made, err
}

// notSent is what became of a message that will not arrive. A refused address
// is the person's to mend while they are enrolling it.
func notSent(err error, to recipient) error {
	if errors.Is(err, delivery.ErrRefused) && to.credential == "" {
		return fmt.Errorf("%w: %w", factors.ErrBadAddress, err)
	}
	return fmt.Errorf("%w: %w", factors.ErrUnavailable, err)
}

// minutes rounds up: a code of 90 seconds does not work "for 1 minute".
func minutes(d time.Duration) int { return int((d + time.Minute - 1) / time.Minute) }
