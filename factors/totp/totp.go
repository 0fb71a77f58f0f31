package totp

import (
	"context"
	"fmt"
	"time"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/policy"
)

// Steps keeps the last step used of each credential.
type Steps interface {
	// ConsumeStep moves a credential's Counter to step and its LastUsedAt to
	// now if Counter was lower, in one statement, and tells whether it did
	// (RFC 6238 §5.2: a code is accepted once).
	ConsumeStep(ctx context.Context, id account.CredentialID, step int64, now time.Time) (bool, error)
}

// Factor is the kind of proof. It is safe for concurrent use.
type Factor struct{ Steps Steps }

var (
	_ factors.Enroller  = (*Factor)(nil)
	_ factors.Swift     = (*Factor)(nil)
	_ factors.Momentary = (*Factor)(nil)
)

// Swift implements factors.Swift.
func (f *Factor) Swift() {}

// Momentary implements factors.Momentary.
func (f *Factor) Momentary() {}

// Kind implements factors.Factor.
func (f *Factor) Kind() policy.Factor { return policy.TOTP }

// Prepare implements factors.Factor. There is nothing to send and nothing to
// remember; the label is shown where there is only one app to look at.
func (f *Factor) Prepare(_ context.Context, _ factors.Scope, held []account.Credential, state factors.State, _ bool) (factors.Prompt, factors.State, error) {
	prompt := factors.Prompt{Shape: factors.ShapeCode, Factor: policy.TOTP, Digits: digits}
	if own := ours(held); len(own) == 1 {
		prompt.Label = own[0].Label
	}
	return prompt, state, nil
}

// Verify implements factors.Factor. All credentials are tried, for a person
// with two apps does not say which one they read.
func (f *Factor) Verify(ctx context.Context, scope factors.Scope, held []account.Credential, _ factors.State, answer factors.Answer) (factors.Verified, error) {
	own := ours(held)
	if len(own) == 0 {
		return factors.Verified{}, factors.ErrUnavailable
	}
	code, ok := factors.Digits(answer.Code(), digits)
	if !ok {
		return factors.Verified{}, factors.ErrWrongAnswer
	}
	compared, replayed := false, false
	var unreadable error
	for _, c := range own {
		step, matched, err := match(c.Secret, code, scope.Now)
		if err != nil {
			unreadable = fmt.Errorf("compare code with credential %s: %w", c.ID, err)
			continue
		}
		compared = true
		if !matched {
			continue
		}
		fresh, err := f.Steps.ConsumeStep(ctx, c.ID, step, scope.Now)
		if err != nil {
			return factors.Verified{}, fmt.Errorf("consume step: %w", err)
		}
		if fresh {
			c.Counter, c.LastUsedAt = step, scope.Now
			return factors.Verified{Credential: c}, nil
		}
		replayed = true
	}
	switch {
	case replayed:
		return factors.Verified{}, factors.ErrReplayed
	case compared:
		// A wrong guess stays one beside a credential that cannot be read:
		// a technical error would give the try back, without end.
		return factors.Verified{}, factors.ErrWrongAnswer
	default:
		return factors.Verified{}, unreadable
	}
}

// ours are the credentials of this factor.
func ours(held []account.Credential) []account.Credential {
	var own []account.Credential
	for _, c := range held {
		if c.Factor == string(policy.TOTP) {
			own = append(own, c)
		}
	}
	return own
}
