package backupcode

import (
	"context"
	"fmt"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/policy"
)

// Keys authenticates parts for a purpose (keys.Ring).
type Keys interface {
	MACMaker(purpose string) (id string, mac func(parts ...[]byte) []byte)
	VerifyMAC(purpose string, mac []byte, parts ...[]byte) bool
}

// NoticeUsed is the notice of a code that was used.
const NoticeUsed = "backup-code-used"

// Factor is the kind of proof. It is safe for concurrent use.
type Factor struct {
	Store factors.CredentialStore
	Keys  Keys
}

var (
	_ factors.Lister = (*Factor)(nil)
	_ factors.Sieve  = (*Factor)(nil)
)

// Kind implements factors.Factor.
func (f *Factor) Kind() policy.Factor { return policy.BackupCode }

// Prepare implements factors.Factor. There is nothing to send or remember.
func (f *Factor) Prepare(_ context.Context, _ factors.Scope, _ []account.Credential, state factors.State, _ bool) (factors.Prompt, factors.State, error) {
	return factors.Prompt{Shape: factors.ShapeCode, Factor: policy.BackupCode}, state, nil
}

// Verify implements factors.Factor. The code is spent in the write that
// accepts it.
func (f *Factor) Verify(ctx context.Context, scope factors.Scope, held []account.Credential, _ factors.State, answer factors.Answer) (factors.Verified, error) {
	code, ok := factors.ReadPaperCode(answer.Code(), groups)
	if !ok {
		return factors.Verified{}, factors.ErrWrongAnswer
	}
	spending := factors.Spending{Kind: policy.BackupCode, Held: held, In: f.Store, Try: func(c *account.Credential) error { return f.try(c, code) }}
	c, err := spending.Spend(ctx, scope.Now)
	if err != nil {
		return factors.Verified{}, err
	}
	return factors.Verified{Credential: c, Notice: NoticeUsed}, nil
}

// try spends the code from a copy of the credential.
func (f *Factor) try(c *account.Credential, code string) error {
	s, err := setOf(c.Secret)
	if err != nil {
		return err
	}
	if err := s.spend(f.Keys, c.Account, code); err != nil {
		return err
	}
	c.Secret, err = s.secret()
	return err
}

// Usable implements factors.Sieve: a sheet whose codes are all spent is only
// paper.
func (f *Factor) Usable(_ factors.Scope, c account.Credential) bool { return Left(c) > 0 }

// Left is how many codes of a sheet have not been used.
func Left(c account.Credential) int {
	s, err := setOf(c.Secret)
	if err != nil {
		return 0
	}
	return len(s.Left)
}

// NewList implements factors.Lister.
func (f *Factor) NewList(scope factors.Scope) (account.Credential, []string, error) {
	s, codes, key := newSet(f.Keys, scope.Account.ID)
	secret, err := s.secret()
	if err != nil {
		return account.Credential{}, nil, fmt.Errorf("make backup codes: %w", err)
	}
	return account.Credential{Factor: string(policy.BackupCode), Label: account.BackupCodes.In(scope.Language), Secret: secret, MACKey: key}, codes, nil
}

// ReadList implements factors.Lister.
func (f *Factor) ReadList(codes []string) bool {
	for _, code := range codes {
		if own, ok := factors.ReadPaperCode(code, groups); !ok || own != code {
			return false
		}
	}
	return len(codes) > 0 && len(codes) <= size
}
