package keys

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/go-jose/go-jose/v4"
)

// SignAssertion signs claims, marshalled as JSON, with the primary key and
// gives the compact form of a JWT: ES256, typ "JWT", kid the key's ID
// (RFC 7519; RFC 8725 §3). The claims, lifetime among them, are the caller's.
func (r *Ring) SignAssertion(claims any) (string, error) {
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("sign assertion: %w", err)
	}
	signed, err := r.held.Load().first().signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("sign assertion: %w", err)
	}
	compact, err := signed.CompactSerialize()
	if err != nil {
		return "", fmt.Errorf("sign assertion: %w", err)
	}
	return compact, nil
}

// JWKS is the JSON Web Key Set (RFC 7517 §5) of the public keys of all keys,
// prepared ones included, so that verifiers hold a key before it signs. The
// bytes change only with the ring. The caller may keep and change them.
func (r *Ring) JWKS() []byte { return slices.Clone(r.held.Load().jwks) }

// prepareSigner derives the key pair of assertions. It comes from the secret
// alone, so every node with the same file signs alike, before and after a
// restart.
func (k *key) prepareSigner() error {
	private, err := k.signingKey()
	if err != nil {
		return err
	}
	k.public = jose.JSONWebKey{Key: &private.PublicKey, KeyID: k.name(), Algorithm: string(jose.ES256), Use: "sig"}
	k.signer, err = jose.NewSigner(
		jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: private, KeyID: k.name()}},
		(&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return fmt.Errorf("derive signing key: %w", err)
	}
	return nil
}

// signingKey draws candidates until one is a scalar of P-256, which keeps
// the choice uniform (FIPS 186-5 §A.2.2). One in 2^32 candidates is not.
func (k *key) signingKey() (*ecdsa.PrivateKey, error) {
	for i := range 16 {
		private, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), k.derive("assertion", strconv.Itoa(i), 32))
		if err == nil {
			return private, nil
		}
	}
	return nil, errors.New("derive signing key: no candidate is in range")
}

func marshalJWKS(keys []*key) ([]byte, error) {
	var set jose.JSONWebKeySet
	for _, k := range keys {
		set.Keys = append(set.Keys, k.public)
	}
	raw, err := json.Marshal(set)
	if err != nil {
		return nil, fmt.Errorf("list public keys: %w", err)
	}
	return raw, nil
}
