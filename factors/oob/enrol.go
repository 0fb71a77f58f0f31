package oob

import (
	"context"
	"slices"
	"strings"
	"unicode"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/internal/account"
)

// BeginEnrolment implements factors.Enroller. First it asks for a number or
// an address; that form's button sends the first code, and the page of the
// code follows. The button "new" goes back to the first page; an address
// typed there voids the code that went to the one before.
func (f *Factor) BeginEnrolment(ctx context.Context, scope factors.Scope, held []account.Credential, state factors.State, answer factors.Answer) (factors.Prompt, factors.State, error) {
	to, typedBefore, err := pendingOf(state)
	if err != nil {
		return factors.Prompt{}, nil, err
	}
	typed, hasField := answer.Fields[f.channel.field()]
	switch action := answer.Fields["action"]; {
	case action == "new":
		return f.askAddress(scope), nil, nil
	case action == "send" && (hasField || !typedBefore):
		if to, err = f.channel.parse(typed); err != nil {
			return factors.Prompt{}, nil, err
		}
		if f.taken(held, to) {
			return factors.Prompt{}, nil, factors.ErrTaken
		}
		err = f.send(ctx, scope, recipient{address: to})
	case !typedBefore:
		return f.askAddress(scope), state, nil
	case action == "send" || action == "resend":
		err = f.send(ctx, scope, recipient{address: to})
	}
	if err != nil {
		return factors.Prompt{}, nil, err
	}
	code, err := f.codes.Code(ctx, f.slot(scope))
	if err != nil {
		return factors.Prompt{}, nil, err
	}
	return f.prompt(scope, code, to.to), to.state(), nil
}

// askAddress is the first page. What the account has only prefills.
func (f *Factor) askAddress(scope factors.Scope) factors.Prompt {
	return factors.Prompt{
		Shape: factors.ShapeAddress, Factor: f.Kind(), Field: f.channel.field(), Prefill: f.channel.known(scope.Account),
	}
}

func (f *Factor) taken(held []account.Credential, to address) bool {
	return slices.ContainsFunc(f.ours(held), func(c account.Credential) bool {
		return f.channel.fold(c.Address) == f.channel.fold(to.to)
	})
}

// ConfirmEnrolment implements factors.Enroller.
func (f *Factor) ConfirmEnrolment(ctx context.Context, scope factors.Scope, held []account.Credential, state factors.State, answer factors.Answer) (account.Credential, error) {
	to, typed, err := pendingOf(state)
	if err != nil {
		return account.Credential{}, err
	}
	if !typed {
		return account.Credential{}, factors.ErrExpired
	}
	if f.taken(held, to) {
		return account.Credential{}, factors.ErrTaken
	}
	code, err := f.codes.Code(ctx, f.slot(scope))
	if err != nil {
		return account.Credential{}, err
	}
	if err := f.check(ctx, scope, code, to.to, answer); err != nil {
		return account.Credential{}, err
	}
	return account.Credential{Factor: string(f.Kind()), Label: f.name(answer.Fields["label"], to, scope.Language), Address: to.to}, nil
}

// maxLabelRunes bounds what a person calls a credential.
const maxLabelRunes = 60

func (f *Factor) name(typed string, to address, language string) string {
	own := strings.TrimSpace(strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, typed))
	if own == "" {
		return f.channel.label(to.to, language)
	}
	runes := []rune(own)
	return string(runes[:min(len(runes), maxLabelRunes)])
}
