package web

import (
	"crypto/rand"
	"strings"
)

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

// CleanReference gives the reference that somebody meant who typed it: any
// case, with or without the hyphen, O for 0, I or L for 1. It is false for what
// cannot be one.
func CleanReference(typed string) (string, bool) {
	s := strings.NewReplacer("-", "", " ", "", "O", "0", "I", "1", "L", "1").Replace(strings.ToUpper(typed))
	if len(s) != referenceLetters || strings.Trim(s, crockford) != "" {
		return "", false
	}
	return s[:5] + "-" + s[5:], true
}
