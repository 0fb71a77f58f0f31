package knowledge

import (
	"context"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/policy"
)

// PIN is the factor `pin`: a number that the person chose, compared by the
// server. It does not expire. Safe for concurrent use.
type PIN struct{ keep keeper }

var _ factors.Enroller = (*PIN)(nil)

// NewPIN makes the factor.
func NewPIN(keys Keys, hasher Hasher, store factors.CredentialStore) *PIN {
	return &PIN{keep: keeper{keys: keys, hasher: hasher, store: store, purpose: "pin"}}
}

// Kind implements factors.Factor.
func (p *PIN) Kind() policy.Factor { return policy.PIN }

func pinPrompt() factors.Prompt {
	return factors.Prompt{Shape: factors.ShapePIN, Factor: policy.PIN, Digits: minPIN}
}

// Prepare implements factors.Factor. There is nothing to send or remember.
func (p *PIN) Prepare(_ context.Context, _ factors.Scope, _ []account.Credential, state factors.State, _ bool) (factors.Prompt, factors.State, error) {
	return pinPrompt(), state, nil
}

// Verify implements factors.Factor.
func (p *PIN) Verify(ctx context.Context, scope factors.Scope, held []account.Credential, _ factors.State, answer factors.Answer) (factors.Verified, error) {
	pin, ok := readPIN(answer.Fields["pin"])
	if !ok {
		return factors.Verified{}, factors.ErrWrongAnswer
	}
	return p.keep.verify(ctx, scope, held, policy.PIN, []byte(pin))
}

// BeginEnrolment implements factors.Enroller.
func (p *PIN) BeginEnrolment(_ context.Context, _ factors.Scope, held []account.Credential, state factors.State, _ factors.Answer) (factors.Prompt, factors.State, error) {
	if _, has := only(held, policy.PIN); has {
		return factors.Prompt{}, nil, factors.ErrTaken
	}
	return pinPrompt(), state, nil
}

// ConfirmEnrolment implements factors.Enroller. A *factors.Unsuitable says
// what is wrong with the PIN.
func (p *PIN) ConfirmEnrolment(ctx context.Context, scope factors.Scope, held []account.Credential, _ factors.State, answer factors.Answer) (account.Credential, error) {
	if _, has := only(held, policy.PIN); has {
		return account.Credential{}, factors.ErrTaken
	}
	pin, err := choosePIN(answer.Fields["pin"], answer.Fields["pin_again"])
	if err != nil {
		return account.Credential{}, err
	}
	c := account.Credential{Factor: string(policy.PIN), Label: "PIN"}
	if err := p.keep.keep(ctx, &c, scope.Account.ID, nil, []byte(pin)); err != nil {
		return account.Credential{}, err
	}
	return c, nil
}
