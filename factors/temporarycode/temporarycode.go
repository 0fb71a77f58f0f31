package temporarycode

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/policy"
)

const (
	// groups is how long a code is: 60 bits.
	groups     = 3
	saltBytes  = 16
	macPurpose = "temporary code"
)

var errRecord = errors.New("temporarycode: unreadable record of a code")

// Keys authenticates parts for a purpose (keys.Ring).
type Keys interface {
	MAC(purpose string, parts ...[]byte) []byte
	VerifyMAC(purpose string, mac []byte, parts ...[]byte) bool
}

// Factor is the kind of proof. It is safe for concurrent use.
type Factor struct {
	Store factors.CredentialStore
	Keys  Keys
}

var _ factors.Sieve = (*Factor)(nil)

// record is the Secret of a credential, as JSON. Its Counter is the number of
// uses: 0 or 1.
type record struct {
	Salt      []byte    `json:"salt"`
	Hash      []byte    `json:"hash"`
	ExpiresAt time.Time `json:"expires_at"`
}

// New makes a code for an account, good from now for a lifetime, and the
// credential to keep. The caller takes away earlier ones and shows the code
// once.
func (f *Factor) New(owner account.ID, now time.Time, lifetime time.Duration) (account.Credential, string, error) {
	code := factors.NewPaperCode(groups)
	r := record{Salt: make([]byte, saltBytes), ExpiresAt: now.Add(lifetime).UTC()}
	rand.Read(r.Salt) // never fails: the program ends instead
	r.Hash = f.Keys.MAC(macPurpose, r.Salt, []byte(owner), []byte(code))
	secret, err := json.Marshal(r)
	if err != nil {
		return account.Credential{}, "", fmt.Errorf("make a temporary code: %w", err)
	}
	return account.Credential{
		ID: account.NewCredentialID(), Account: owner, Factor: string(policy.TemporaryCode), Label: account.TemporaryCode.In("en"),
		Secret: account.Secret(secret), CreatedAt: now.UTC(),
	}, code, nil
}

func recordOf(c account.Credential) (record, error) {
	var r record
	if json.Unmarshal(c.Secret.Reveal(), &r) != nil || len(r.Hash) == 0 {
		return record{}, errRecord
	}
	return r, nil
}

// Kind implements factors.Factor.
func (f *Factor) Kind() policy.Factor { return policy.TemporaryCode }

// Usable implements factors.Sieve.
func (f *Factor) Usable(scope factors.Scope, c account.Credential) bool {
	r, err := recordOf(c)
	return err == nil && c.Counter == 0 && scope.Now.Before(r.ExpiresAt)
}

// Prepare implements factors.Factor. There is nothing to send or remember.
func (f *Factor) Prepare(_ context.Context, _ factors.Scope, _ []account.Credential, state factors.State, _ bool) (factors.Prompt, factors.State, error) {
	return factors.Prompt{Shape: factors.ShapeCode, Factor: policy.TemporaryCode}, state, nil
}

// Verify implements factors.Factor. The code is spent in the write that
// accepts it.
func (f *Factor) Verify(ctx context.Context, scope factors.Scope, held []account.Credential, _ factors.State, answer factors.Answer) (factors.Verified, error) {
	code, ok := factors.ReadPaperCode(answer.Code(), groups)
	if !ok {
		return factors.Verified{}, factors.ErrWrongAnswer
	}
	spending := factors.Spending{
		Kind: policy.TemporaryCode, Held: held, In: f.Store, Try: func(c *account.Credential) error { return f.spend(c, code, scope.Now) },
	}
	c, err := spending.Spend(ctx, scope.Now)
	return factors.Verified{Credential: c}, err
}

// spend marks a copy of the credential as used, if the code is its own. Only
// whoever has the code learns that it is used or too old.
func (f *Factor) spend(c *account.Credential, code string, now time.Time) error {
	r, err := recordOf(*c)
	switch {
	case err != nil:
		return err
	case !f.Keys.VerifyMAC(macPurpose, r.Hash, r.Salt, []byte(c.Account), []byte(code)):
		return factors.ErrWrongAnswer
	case c.Counter != 0:
		return factors.ErrReplayed
	case !now.Before(r.ExpiresAt):
		return factors.ErrExpired
	}
	c.Counter = 1
	return nil
}
