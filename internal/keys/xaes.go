package keys

import (
	"crypto/aes"
	"crypto/cipher"
	"fmt"
)

const (
	xaesNonceBytes = 24
	gcmTagBytes    = 16
)

// sealer is one key of XAES-256-GCM as specified by C2SP: AES-256-GCM under
// a key derived from the first half of a 192-bit nonce (SP 800-108r1, counter
// mode with CMAC), with the second half as GCM's own nonce. Plain AES-GCM may
// meet only 2^32 random nonces under one key (SP 800-38D §8.3), which
// strangers could make a busy gateway spend.
type sealer struct {
	block cipher.Block
	k1    [aes.BlockSize]byte // CMAC's first subkey, SP 800-38B §6.1
}

func newSealer(secret []byte) *sealer {
	block, err := aes.NewCipher(secret)
	if err != nil {
		panic("keys: " + err.Error()) // only for a wrong key size
	}
	s := &sealer{block: block}
	block.Encrypt(s.k1[:], s.k1[:])
	var carry byte
	for i := len(s.k1) - 1; i >= 0; i-- {
		s.k1[i], carry = s.k1[i]<<1|carry, s.k1[i]>>7
	}
	s.k1[len(s.k1)-1] ^= carry * 0x87
	return s
}

// forNonce is the AES-256-GCM instance for a nonce of 24 bytes, to be used
// with the second half of it.
func (s *sealer) forNonce(nonce []byte) (cipher.AEAD, error) {
	derived := make([]byte, 2*aes.BlockSize)
	for i := range 2 {
		half := derived[i*aes.BlockSize:][:aes.BlockSize]
		half[1], half[2] = byte(i+1), 'X'
		copy(half[4:], nonce[:xaesNonceBytes/2])
		for j := range half {
			half[j] ^= s.k1[j]
		}
		s.block.Encrypt(half, half)
	}
	block, err := aes.NewCipher(derived)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return aead, nil
}
