package keys

import (
	"crypto/rand"
	"errors"
	"slices"
)

// ErrSealed is all that Open says: the bytes were not sealed by a key of this
// ring for this purpose with this associated data. The caller treats what it
// was given as absent, never as partly valid.
var ErrSealed = errors.New("keys: sealed data cannot be opened")

// sealedVersion is the first byte of sealed data. Then follow the key's ID,
// a nonce and the ciphertext with its tag.
const sealedVersion = 1

const sealedHeader = 1 + idBytes

// SealedOverhead is by how many bytes sealed data is longer than its
// plaintext.
const SealedOverhead = sealedHeader + xaesNonceBytes + gcmTagBytes

// Seal encrypts plaintext with the primary key and binds it to purpose and
// associated, which Open must be given again (a row's table, column and key;
// a cookie's name and site). The nonce is random and long enough that no
// count of messages needs watching.
func (r *Ring) Seal(purpose string, plaintext, associated []byte) ([]byte, error) {
	return r.AppendSealed(nil, purpose, plaintext, associated)
}

// AppendSealed is Seal behind what dst holds already, and in its memory where
// that has room for as much.
func (r *Ring) AppendSealed(dst []byte, purpose string, plaintext, associated []byte) ([]byte, error) {
	k := r.held.Load().first()
	out := slices.Grow(dst, SealedOverhead+len(plaintext))
	out = append(append(out, sealedVersion), k.id[:]...)
	nonce := out[len(out) : len(out)+xaesNonceBytes]
	rand.Read(nonce) // never fails: the program ends instead
	out = out[:len(out)+xaesNonceBytes]
	aead, err := k.sealer(purpose).forNonce(nonce)
	if err != nil {
		return nil, err
	}
	return aead.Seal(out, nonce[xaesNonceBytes/2:], plaintext, associated), nil
}

// Open reverses Seal with whichever key of the ring sealed. It returns
// ErrSealed on anything wrong, and then no bytes.
func (r *Ring) Open(purpose string, sealed, associated []byte) ([]byte, error) {
	if len(sealed) < SealedOverhead || sealed[0] != sealedVersion {
		return nil, ErrSealed
	}
	k := r.held.Load().find([idBytes]byte(sealed[1:sealedHeader]))
	if k == nil {
		return nil, ErrSealed
	}
	nonce, ciphertext := sealed[sealedHeader:sealedHeader+xaesNonceBytes], sealed[sealedHeader+xaesNonceBytes:]
	aead, err := k.sealer(purpose).forNonce(nonce)
	if err != nil {
		return nil, ErrSealed
	}
	plaintext, err := aead.Open(make([]byte, 0, len(ciphertext)-gcmTagBytes), nonce[xaesNonceBytes/2:], ciphertext, associated)
	if err != nil {
		return nil, ErrSealed
	}
	return plaintext, nil
}

// Current tells whether sealed data names the primary key. What is not
// current still opens; a store may seal it again when it next writes the row.
func (r *Ring) Current(sealed []byte) bool {
	return len(sealed) >= SealedOverhead && sealed[0] == sealedVersion &&
		[idBytes]byte(sealed[1:sealedHeader]) == r.held.Load().first().id
}

func (k *key) sealer(purpose string) *sealer {
	if s, ok := k.sealers.get(purpose); ok {
		return s
	}
	s := newSealer(k.derive("seal", purpose, 32))
	k.sealers.put(purpose, s)
	return s
}
