package knowledge

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/policy"
)

// Keys authenticates parts for a purpose (keys.Ring). MACs gives the MAC under
// every key, the primary's first.
type Keys interface {
	MACs(purpose string, parts ...[]byte) [][]byte
}

// Hasher makes and compares slow hashes (password.Hasher). Its errors are
// technical: too many hashes at once, a hash that cannot be read.
type Hasher interface {
	Hash(ctx context.Context, secret account.Secret) (string, error)
	Verify(ctx context.Context, phc string, secret account.Secret) (bool, error)
}

// known is what is kept of an answer: the Secret of its credential, as JSON.
type known struct {
	Hash string `json:"hash"`
	// Questions are the catalogue keys of what was answered; none for a PIN.
	Questions []string `json:"questions,omitempty"`
}

func knownOf(c account.Credential) (known, error) {
	var k known
	if err := json.Unmarshal(c.Secret.Reveal(), &k); err != nil || k.Hash == "" {
		return known{}, fmt.Errorf("knowledge: credential %s: unreadable secret", c.ID)
	}
	return k, nil
}

// keeper makes and compares what is kept.
type keeper struct {
	keys    Keys
	hasher  Hasher
	purpose string
}

// keep makes the secret of a new credential.
func (k keeper) keep(ctx context.Context, owner account.ID, questions []string, parts ...[]byte) (account.Secret, error) {
	hash, err := k.hasher.Hash(ctx, k.peppered(owner, parts)[0])
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(known{Hash: hash, Questions: questions})
	return account.Secret(text), err
}

// matches tells whether an answer is the one that was kept, under whatever key
// of the ring that was.
func (k keeper) matches(ctx context.Context, c account.Credential, parts ...[]byte) (bool, error) {
	kept, err := knownOf(c)
	if err != nil {
		return false, err
	}
	for _, secret := range k.peppered(c.Account, parts) {
		if ok, err := k.hasher.Verify(ctx, kept.Hash, secret); err != nil || ok {
			return ok, err
		}
	}
	return false, nil
}

func (k keeper) peppered(owner account.ID, parts [][]byte) []account.Secret {
	sums := k.keys.MACs(k.purpose, append([][]byte{[]byte(owner)}, parts...)...)
	secrets := make([]account.Secret, len(sums))
	for i, sum := range sums {
		secrets[i] = account.Secret(base64.RawStdEncoding.EncodeToString(sum))
	}
	return secrets
}

// only is the account's credential of a kind. A person has one of each.
func only(held []account.Credential, kind policy.Factor) (account.Credential, bool) {
	for _, c := range held {
		if c.Factor == string(kind) {
			return c, true
		}
	}
	return account.Credential{}, false
}

// verify compares an answer with the only credential of a kind.
func (k keeper) verify(ctx context.Context, held []account.Credential, kind policy.Factor, parts ...[]byte) (factors.Verified, error) {
	c, ok := only(held, kind)
	if !ok {
		return factors.Verified{}, factors.ErrUnavailable
	}
	right, err := k.matches(ctx, c, parts...)
	switch {
	case err != nil:
		return factors.Verified{}, fmt.Errorf("compare answer: %w", err)
	case !right:
		return factors.Verified{}, factors.ErrWrongAnswer
	default:
		return factors.Verified{Credential: c}, nil
	}
}
