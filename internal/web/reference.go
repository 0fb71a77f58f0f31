package web

import "crypto/rand"

// crockford is base32 without the letters that are misread or misheard.
const crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

const referenceLetters = 10

// NewReference makes the number that joins what a visitor sees to what the log
// and the audit trail say: 50 random bits as two groups of five, fit to be read
// out on the telephone.
func NewReference() string {
	var b [referenceLetters]byte
	rand.Read(b[:])
	for i, c := range b {
		b[i] = crockford[c%32] // 256 is a multiple of 32: no bias
	}
	return string(b[:5]) + "-" + string(b[5:])
}
