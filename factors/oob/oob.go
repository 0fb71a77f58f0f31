package oob

import (
	"context"
	"fmt"
	"time"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/policy"
)

// Options of a factor. All fields are needed.
type Options struct {
	Codes  Codes
	Outbox Outbox
	Budget Budget
	Keys   Keys
	// Lifetime of a code, up to 15 minutes.
	Lifetime time.Duration
}

// Factor sends codes by one channel. It is safe for concurrent use. Get one
// from NewSMS or NewEmail.
type Factor struct {
	channel  channel
	codes    Codes
	outbox   Outbox
	budget   Budget
	keys     Keys
	lifetime time.Duration
}

var (
	_ factors.Enroller = (*Factor)(nil)
	_ factors.Swift    = (*Factor)(nil)
)

// Swift implements factors.Swift.
func (f *Factor) Swift() {}

// NewSMS makes the factor of codes by text message.
func NewSMS(o Options, n Numbers) *Factor { return newFactor(o, textMessage{n}) }

// NewEmail makes the factor of codes by e-mail.
func NewEmail(o Options) *Factor { return newFactor(o, eMail{}) }

func newFactor(o Options, c channel) *Factor {
	return &Factor{channel: c, codes: o.Codes, outbox: o.Outbox, budget: o.Budget, keys: o.Keys, lifetime: o.Lifetime}
}

// Kind implements factors.Factor.
func (f *Factor) Kind() policy.Factor { return f.channel.kind() }

// Prepare implements factors.Factor. With send a code goes to the person's
// default credential: *factors.TooSoon where the last is too fresh,
// factors.ErrUnavailable where it cannot be sent, and the error of Budget.
func (f *Factor) Prepare(ctx context.Context, scope factors.Scope, held []account.Credential, state factors.State, send bool) (factors.Prompt, factors.State, error) {
	own := f.ours(held)
	if len(own) == 0 {
		return factors.Prompt{}, nil, factors.ErrUnavailable
	}
	if send {
		to, err := f.recipient(own[0])
		if err != nil {
			return factors.Prompt{}, nil, err
		}
		if err := f.send(ctx, scope, to); err != nil {
			return factors.Prompt{}, nil, err
		}
	}
	code, err := f.codes.Code(ctx, f.slot(scope))
	if err != nil {
		return factors.Prompt{}, nil, err
	}
	shown := own[0]
	if sentTo, ok := find(own, code.Credential); ok && code.open(scope.Transaction, scope.Now) {
		shown = sentTo
	}
	prompt := f.prompt(scope, code, shown.Address)
	prompt.Label = shown.Label
	return prompt, state, nil
}

// recipient is a credential's address, as far as it still may be sent to: the
// countries may have been changed since it was enrolled.
func (f *Factor) recipient(c account.Credential) (recipient, error) {
	a, err := f.channel.parse(c.Address)
	if err != nil {
		return recipient{}, fmt.Errorf("%w: credential %s: its address is no longer accepted", factors.ErrUnavailable, c.ID)
	}
	return recipient{a, c.ID}, nil
}

// prompt is the page of a code that was sent to an address, or may be.
func (f *Factor) prompt(scope factors.Scope, code Code, to string) factors.Prompt {
	wait, no := code.resendAfter(scope.Transaction, f.toMAC(to), scope.Now)
	return factors.Prompt{
		Shape: factors.ShapeCode, Factor: f.Kind(), Digits: digits, Destination: f.channel.mask(to, scope.Language),
		Sent: code.open(scope.Transaction, scope.Now), MayResend: !no, ResendAfterS: int((wait + time.Second - 1) / time.Second),
		LifetimeMin: minutes(f.lifetime),
	}
}

// Verify implements factors.Factor.
func (f *Factor) Verify(ctx context.Context, scope factors.Scope, held []account.Credential, _ factors.State, answer factors.Answer) (factors.Verified, error) {
	own := f.ours(held)
	if len(own) == 0 {
		return factors.Verified{}, factors.ErrUnavailable
	}
	code, err := f.codes.Code(ctx, f.slot(scope))
	if err != nil {
		return factors.Verified{}, err
	}
	credential, ok := find(own, code.Credential)
	if !ok { // nothing was sent, or the credential has been removed since
		return factors.Verified{}, factors.ErrExpired
	}
	if err := f.check(ctx, scope, code, credential.Address, answer); err != nil {
		return factors.Verified{}, err
	}
	credential.LastUsedAt = scope.Now
	return factors.Verified{Credential: credential}, nil
}

// check compares an answer with the code that was sent to an address, and
// spends it; what its slot held a moment ago tells whether there is anything to
// compare. A code that was sent in another ceremony, from another tab of the
// session, keeps its tries.
func (f *Factor) check(ctx context.Context, scope factors.Scope, present Code, to string, answer factors.Answer) error {
	typed, ok := factors.Digits(answer.Code(), digits)
	switch {
	case present.Transaction != scope.Transaction, !ok && !present.open(scope.Transaction, scope.Now):
		return factors.ErrExpired
	case !ok:
		return factors.ErrWrongAnswer
	}
	slot := f.slot(scope)
	_, err := f.codes.TryCode(ctx, slot, scope.Now, maxTries, func(c Code) bool {
		return f.keys.VerifyMAC(macPurpose, c.MAC, bound(slot, scope, to, typed)...)
	})
	if err != nil {
		return err
	}
	if err := f.budget.Answered(ctx, string(f.Kind()), scope.Account.ID); err != nil {
		return fmt.Errorf("note that a code was answered: %w", err)
	}
	return nil
}

// ours are the credentials of this factor.
func (f *Factor) ours(held []account.Credential) []account.Credential {
	var own []account.Credential
	for _, c := range held {
		if c.Factor == string(f.Kind()) {
			own = append(own, c)
		}
	}
	return own
}

func find(own []account.Credential, id account.CredentialID) (account.Credential, bool) {
	for _, c := range own {
		if c.ID == id {
			return c, true
		}
	}
	return account.Credential{}, false
}
