package device

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"math/big"
	"strings"

	"github.com/stepgate/stepgate/factors"
)

const (
	pointLen     = 65
	signatureLen = 64
	// letterInfo separates the key of a letter from any other use of the same
	// exchange.
	letterInfo = "stepgate soft token answer"
	// statement begins what a token signs.
	statement = "stepgate soft token, version 1"
)

var errLetter = errors.New("device: an answer that does not open")

// openLetter opens what the script has encrypted to a ceremony's key: an
// ephemeral public key, then AES-256-GCM under the key that both agree on. Each
// key encrypts one letter, so that the nonce can stay zero.
func openLetter(private []byte, text string) ([]byte, error) {
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(sealed) < pointLen {
		return nil, errLetter
	}
	own, err := ecdh.P256().NewPrivateKey(private)
	if err != nil {
		return nil, errLetter
	}
	theirs, err := ecdh.P256().NewPublicKey(sealed[:pointLen])
	if err != nil {
		return nil, errLetter
	}
	agreed, err := own.ECDH(theirs)
	if err != nil {
		return nil, errLetter
	}
	salt := append(append([]byte{}, sealed[:pointLen]...), own.PublicKey().Bytes()...)
	key, err := hkdf.Key(sha256.New, agreed, salt, letterInfo, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	plain, err := gcm.Open(nil, make([]byte, gcm.NonceSize()), sealed[pointLen:], nil)
	if err != nil {
		return nil, errLetter
	}
	return plain, nil
}

// signs tells whether a signature, r and s as WebCrypto writes them, is the
// key's over a statement of this kind ("make" or "use") in this scope. What the
// browser took for the origin, the account, the purpose or the ceremony must be
// what this gateway means, or the signature is over something else.
func signs(key *ecdsa.PublicKey, signature []byte, kind, name string, scope factors.Scope, challenge []byte) bool {
	if len(signature) != signatureLen {
		return false
	}
	said := strings.Join([]string{
		statement, kind, scope.Site, string(scope.Account.ID), scope.Purpose, scope.Transaction, name, base64.RawURLEncoding.EncodeToString(challenge),
	}, "\n")
	sum := sha256.Sum256([]byte(said))
	r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
	return ecdsa.Verify(key, sum[:], r, s)
}
