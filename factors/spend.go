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
	// UseCredential lets use look at a credential and alter its Counter,
	// Secret and MACKey, and keeps that, in one write transaction: each of many uses at
	// once sees what the one before it left. An error of use keeps nothing and
	// is returned as it is; account.ErrNotFound says that it is gone.
	UseCredential(ctx context.Context, id account.CredentialID, now time.Time, use func(*account.Credential) error) (account.Credential, error)
}

// Spending is an answer that one credential of a kind may be of.
type Spending struct {
	Kind policy.Factor
	Held []account.Credential
	In   CredentialStore
	// Try spends the answer from a copy of a credential. It answers
	// ErrWrongAnswer, ErrReplayed or ErrExpired where it is not that one's.
	Try func(*account.Credential) error
}

// Spend finds the credential that the answer is of, and spends the answer in
// the write that accepts it. Try is asked before the store is, so that a wrong
// answer writes nothing. Whoever holds none of the kind gets ErrUnavailable.
func (s Spending) Spend(ctx context.Context, now time.Time) (account.Credential, error) {
	refused := ErrUnavailable
	for _, c := range s.Held {
		if c.Factor != string(s.Kind) {
			continue
		}
		err := s.Try(&c)
		if err == nil {
			c, err = s.In.UseCredential(ctx, c.ID, now, s.Try)
		}
		switch {
		case err == nil:
			return c, nil
		case errors.Is(err, account.ErrNotFound): // replaced a moment ago
			refused = ErrWrongAnswer
		case errors.Is(err, ErrWrongAnswer), errors.Is(err, ErrReplayed), errors.Is(err, ErrExpired):
			refused = err
		default:
			return account.Credential{}, fmt.Errorf("use %s: %w", s.Kind, err)
		}
	}
	return account.Credential{}, refused
}
