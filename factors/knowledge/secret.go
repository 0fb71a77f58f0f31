package knowledge

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/policy"
)

// Keys authenticates parts for a purpose (keys.Ring).
type Keys interface {
	// MACMaker gives the primary key's ID and its MAC.
	MACMaker(purpose string) (id string, mac func(parts ...[]byte) []byte)
	// UnderKey is the MAC under the key of an ID, if there is one.
	UnderKey(id, purpose string, parts ...[]byte) (mac []byte, ok bool)
	// MACs gives the MAC under every key.
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
	store   factors.CredentialStore
	purpose string
}

// keep fills in the secret of a new credential.
func (k keeper) keep(ctx context.Context, c *account.Credential, owner account.ID, questions []string, parts ...[]byte) error {
	id, mac := k.keys.MACMaker(k.purpose)
	hash, err := k.hasher.Hash(ctx, pepper(mac(withOwner(owner, parts)...)))
	if err != nil {
		return err
	}
	text, err := json.Marshal(known{Hash: hash, Questions: questions})
	c.Secret, c.MACKey = account.Secret(text), id
	return err
}

// matches tells whether an answer is the one that was kept, under the key that
// it was kept with: one hash, right or wrong, however many keys there are.
// Where the key was not written down each is tried.
func (k keeper) matches(ctx context.Context, c account.Credential, parts ...[]byte) (bool, error) {
	kept, err := knownOf(c)
	if err != nil {
		return false, err
	}
	parts = withOwner(c.Account, parts)
	if c.MACKey != "" {
		mac, ok := k.keys.UnderKey(c.MACKey, k.purpose, parts...)
		if !ok {
			return false, fmt.Errorf("knowledge: credential %s: the ring does not hold its key", c.ID)
		}
		return k.hasher.Verify(ctx, kept.Hash, pepper(mac))
	}
	for _, mac := range k.keys.MACs(k.purpose, parts...) {
		if ok, err := k.hasher.Verify(ctx, kept.Hash, pepper(mac)); err != nil || ok {
			return ok, err
		}
	}
	return false, nil
}

// withOwner is what the MAC of an answer is of.
func withOwner(owner account.ID, parts [][]byte) [][]byte {
	return append([][]byte{[]byte(owner)}, parts...)
}

func pepper(mac []byte) account.Secret {
	return account.Secret(base64.RawStdEncoding.EncodeToString(mac))
}

// errReplaced says that a credential is no longer the one that was proved.
var errReplaced = errors.New("knowledge: replaced")

// renew keeps an answer that was right under the present key, where it was kept
// under an older one, so that nobody needs that one longer. It answers with the
// credential as it is then. What fails is tried again at the next right answer.
func (k keeper) renew(ctx context.Context, c account.Credential, now time.Time, parts [][]byte) account.Credential {
	if id, _ := k.keys.MACMaker(k.purpose); id == c.MACKey {
		return c
	}
	kept, err := knownOf(c)
	if err != nil {
		return c
	}
	next := c
	if err := k.keep(ctx, &next, c.Account, kept.Questions, parts...); err != nil {
		return c
	}
	used, err := k.store.UseCredential(ctx, c.ID, now, func(there *account.Credential) error {
		if !bytes.Equal(there.Secret.Reveal(), c.Secret.Reveal()) {
			return errReplaced
		}
		there.Secret, there.MACKey = next.Secret, next.MACKey
		return nil
	})
	if err != nil {
		return c
	}
	return used
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
func (k keeper) verify(ctx context.Context, scope factors.Scope, held []account.Credential, kind policy.Factor, parts ...[]byte) (factors.Verified, error) {
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
		return factors.Verified{Credential: k.renew(ctx, c, scope.Now, parts)}, nil
	}
}
