package factors

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/policy"
)

// CredentialStore spends what a credential holds.
type CredentialStore interface {
	// UseCredential lets use look at a credential and alter its Counter and
	// Secret, and keeps that, in one write transaction: each of many uses at
	// once sees what the one before it left. An error of use keeps nothing and
	// is returned as it is; account.ErrNotFound says that it is gone.
	UseCredential(ctx context.Context, id account.CredentialID, now time.Time, use func(*account.Credential) error) (account.Credential, error)
}

// SpendOne finds among held the credential of a kind that an answer is of,
// and spends the answer in the write that accepts it. try does so on a copy,
// and answers ErrWrongAnswer, ErrReplayed or ErrExpired where it is not that
// one's; it is asked before the store is, so that a wrong answer writes
// nothing. Whoever holds none gets ErrUnavailable.
func SpendOne(ctx context.Context, kind policy.Factor, scope Scope, held []account.Credential, in CredentialStore, try func(*account.Credential) error) (account.Credential, error) {
	refused := ErrUnavailable
	for _, c := range held {
		if c.Factor != string(kind) {
			continue
		}
		err := try(&c)
		if err == nil {
			c, err = in.UseCredential(ctx, c.ID, scope.Now, try)
		}
		switch {
		case err == nil:
			return c, nil
		case errors.Is(err, account.ErrNotFound): // replaced a moment ago
			refused = ErrWrongAnswer
		case errors.Is(err, ErrWrongAnswer), errors.Is(err, ErrReplayed), errors.Is(err, ErrExpired):
			refused = err
		default:
			return account.Credential{}, fmt.Errorf("use %s: %w", kind, err)
		}
	}
	return account.Credential{}, refused
}
