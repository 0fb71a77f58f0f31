//go:build !(cgo && amd64)

package password

import "golang.org/x/crypto/argon2"

// derive is argon2id (RFC 9106) of a password in NFC.
func (c Cost) derive(password, salt []byte, length int) []byte {
	return argon2.IDKey(password, salt, c.Passes, c.MemoryKiB, c.Lanes, uint32(length))
}
