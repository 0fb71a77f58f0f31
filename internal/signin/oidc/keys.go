package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// signatures are the algorithms that count: those of public keys alone.
var signatures = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.ES256, jose.ES384, jose.ES512, jose.PS256, jose.PS384, jose.PS512, jose.EdDSA,
}

// errSignature says that no key of the issuer's has made a signature.
var errSignature = errors.New("signed by no key of the issuer's")

// errKeys says that the issuer's keys could not be read, which tells nothing of
// the token. The library writes errors of a key set into its own as text, so
// that it is found by way of the context.
var errKeys = errors.New("oidc: keys")

// keyTrouble is where a key set leaves its technical error.
type keyTrouble struct{ err error }

type keyTroubleKey struct{}

func withTrouble(ctx context.Context) (context.Context, *keyTrouble) {
	t := new(keyTrouble)
	return context.WithValue(ctx, keyTroubleKey{}, t), t
}

// keySet is the issuer's public keys, read when a token is signed by none that
// is known. What was read after the token came says all there is to know of
// it; a reading that began before does not, because the key may have been
// replaced meanwhile. Safe for concurrent use.
type keySet struct {
	url    string
	client *http.Client
	now    func() time.Time

	mu      sync.Mutex // held while the keys are read
	known   []jose.JSONWebKey
	began   uint64 // how many readings have begun
	triedAt time.Time
}

// strangersWait is how often, at most, tokens that a stranger may have made
// let the keys be read.
const strangersWait = 5 * time.Second

// VerifySignature implements oidc.KeySet for tokens that the issuer itself
// handed over.
func (k *keySet) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	return k.verify(ctx, token, 0)
}

// strangers is a keySet for tokens that anybody may send.
type strangers struct{ *keySet }

// VerifySignature implements oidc.KeySet.
func (k strangers) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	return k.verify(ctx, token, strangersWait)
}

func (k *keySet) verify(ctx context.Context, token string, rest time.Duration) ([]byte, error) {
	signed, err := jose.ParseSignedCompact(token, signatures)
	if err != nil {
		return nil, err
	}
	keys, began := k.cached()
	if payload, ok := verifyBy(keys, signed); ok {
		return payload, nil
	}
	if keys, err = k.readAfter(ctx, began, rest); err != nil {
		if t, ok := ctx.Value(keyTroubleKey{}).(*keyTrouble); ok {
			t.err = err
		}
		return nil, err
	}
	if payload, ok := verifyBy(keys, signed); ok {
		return payload, nil
	}
	return nil, errSignature
}

func (k *keySet) cached() ([]jose.JSONWebKey, uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.known, k.began
}

// readAfter returns keys of a reading that began after so many others had.
func (k *keySet) readAfter(ctx context.Context, began uint64, rest time.Duration) ([]jose.JSONWebKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.began > began && k.known != nil || k.now().Sub(k.triedAt) < rest {
		return k.known, nil
	}
	k.began++
	k.triedAt = k.now()
	keys, err := k.read(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errKeys, err)
	}
	k.known = keys
	return keys, nil
}

func (k *keySet) read(ctx context.Context) ([]jose.JSONWebKey, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, k.url, nil)
	if err != nil {
		return nil, err
	}
	response, err := k.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the issuer answered %d", response.StatusCode)
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.NewDecoder(response.Body).Decode(&set); err != nil {
		return nil, err
	}
	var keys []jose.JSONWebKey
	for _, raw := range set.Keys {
		// Keys of kinds that are not understood are passed over (RFC 7517 §5).
		var key jose.JSONWebKey
		if json.Unmarshal(raw, &key) == nil && key.IsPublic() && key.Use != "enc" {
			keys = append(keys, key)
		}
	}
	return keys, nil
}

// verifyBy tries the key that a token names, or all where it names none.
func verifyBy(keys []jose.JSONWebKey, token *jose.JSONWebSignature) ([]byte, bool) {
	for i := range keys {
		if id := token.Signatures[0].Header.KeyID; id != "" && id != keys[i].KeyID {
			continue
		}
		if payload, err := token.Verify(&keys[i]); err == nil {
			return payload, true
		}
	}
	return nil, false
}
