package softtoken

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
)

// Script is the JavaScript module that makes and uses tokens in a browser.
//
//go:embed soft-token.js
var Script []byte

// ScriptName is the name by which other scripts of ours import it.
const ScriptName = "soft-token.js"

// ErrLetter is an answer that nobody has encrypted to this exchange. It holds
// no guess, and counts as none.
var ErrLetter = errors.New("softtoken: an answer that does not open")

// letterInfo separates the key of a letter from any other use of the same
// exchange.
const letterInfo = "stepgate soft token answer"

// Exchange is what is remembered between asking for an answer and judging it.
type Exchange struct {
	Challenge []byte `json:"challenge"`
	// Private is the key that the answer is encrypted to.
	Private []byte `json:"private"`
}

// NewExchange makes one for one answer.
func NewExchange() (Exchange, error) {
	key, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return Exchange{}, fmt.Errorf("softtoken: make an exchange: %w", err)
	}
	return Exchange{Challenge: Random(32), Private: key.Bytes()}, nil
}

// Random is so many random bytes.
func Random(n int) []byte {
	bytes := make([]byte, n)
	rand.Read(bytes)
	return bytes
}

// Text writes bytes as the script reads them.
func Text(bytes []byte) string { return base64.RawURLEncoding.EncodeToString(bytes) }

// Server is the public key of the exchange, for the script.
func (e Exchange) Server() (string, error) {
	private, err := ecdh.P256().NewPrivateKey(e.Private)
	if err != nil {
		return "", fmt.Errorf("softtoken: read an exchange: %w", err)
	}
	return Text(private.PublicKey().Bytes()), nil
}

// Open opens what the script has encrypted to the exchange: an ephemeral public
// key, then AES-256-GCM under the key that both agree on. Each key encrypts one
// letter, so that the nonce can stay zero.
func (e Exchange) Open(letter string) ([]byte, error) {
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(letter)
	if err != nil || len(sealed) < PointLen {
		return nil, ErrLetter
	}
	own, err := ecdh.P256().NewPrivateKey(e.Private)
	if err != nil {
		return nil, ErrLetter
	}
	theirs, err := ecdh.P256().NewPublicKey(sealed[:PointLen])
	if err != nil {
		return nil, ErrLetter
	}
	agreed, err := own.ECDH(theirs)
	if err != nil {
		return nil, ErrLetter
	}
	salt := append(append([]byte{}, sealed[:PointLen]...), own.PublicKey().Bytes()...)
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
	plain, err := gcm.Open(nil, make([]byte, gcm.NonceSize()), sealed[PointLen:], nil)
	if err != nil {
		return nil, ErrLetter
	}
	return plain, nil
}
