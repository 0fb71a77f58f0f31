package softtoken

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"math/big"
	"strings"
)

// Sizes of what the script writes: an uncompressed point, and r and s.
const (
	PointLen     = 65
	SignatureLen = 64
)

// MaxTries is how many wrong answers in a row destroy a token (SP 800-63B-4
// §3.2.10).
const MaxTries = 10

// Token is what is kept of a token on our side, as a part of the secret of its
// credential. Beside the browser's half its public key would tell a right PIN
// from a wrong one.
type Token struct {
	// Key is the name under which the browser keeps its half.
	Key string `json:"key"`
	// Public is the public key, uncompressed. Empty once the token has been
	// destroyed.
	Public []byte `json:"public,omitempty"`
	// Share is what the browser needs beside the PIN.
	Share []byte `json:"share,omitempty"`
	// Tries are the wrong answers since the last right one.
	Tries int `json:"tries,omitempty"`
}

// Live tells a token from one that has been destroyed.
func (t *Token) Live() bool { return len(t.Public) > 0 }

// Judge tells whether a signature is the token's over a statement, and counts
// the try. The tenth wrong one in a row destroys the token: it is not Live
// then. The caller keeps the token in the write that it judges in, before
// anybody learns what came of it.
func (t *Token) Judge(s Statement, signature []byte) (right bool, err error) {
	key, err := PublicKey(t.Public)
	if err != nil {
		return false, err
	}
	s.Key = t.Key
	if s.SignedBy(key, signature) {
		t.Tries = 0
		return true, nil
	}
	if t.Tries++; t.Tries >= MaxTries {
		t.Public, t.Share = nil, nil
	}
	return false, nil
}

// PublicKey reads an uncompressed point. One that is not on the curve, or at
// infinity, is refused (SEC 1 §2.3.4).
func PublicKey(point []byte) (*ecdsa.PublicKey, error) {
	return ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
}

// statement begins what a token signs.
const statement = "stepgate soft token, version 1"

// Statement is what a token signs. What the browser took for the origin, the
// account, the purpose or the ceremony must be what this gateway means, or the
// signature is over something else.
type Statement struct {
	// Kind is what the signature does: "make", "use", "approve".
	Kind string
	// Origin is that of the page that signed, as the browser itself knows it.
	Origin, Account, Purpose, Transaction, Key string
	Challenge                                  []byte
}

// SignedBy tells whether a signature, r and s as WebCrypto writes them, is a
// key's over s.
func (s Statement) SignedBy(key *ecdsa.PublicKey, signature []byte) bool {
	if len(signature) != SignatureLen {
		return false
	}
	said := strings.Join([]string{statement, s.Kind, s.Origin, s.Account, s.Purpose, s.Transaction, s.Key, Text(s.Challenge)}, "\n")
	sum := sha256.Sum256([]byte(said))
	r, v := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
	return ecdsa.Verify(key, sum[:], r, v)
}
