package audit

import (
	"crypto/rand"
	"strings"
)

// Crockford's base32: no letter that is read or heard as another.
const referenceAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

const referenceLength = 10 // 50 bits: unique among what is ever looked up

// NewReference makes the word that a refusing page shows and an event keeps,
// such as "7KQ49-XWM2C": random, short enough to read out on a telephone. It
// is not a secret.
func NewReference() string {
	var raw [referenceLength]byte
	rand.Read(raw[:]) // never fails: the program ends instead
	for i := range raw {
		raw[i] = referenceAlphabet[raw[i]%32]
	}
	return string(raw[:5]) + "-" + string(raw[5:])
}

var referenceFolder = strings.NewReplacer("O", "0", "I", "1", "L", "1", " ", "", "-", "")

// FoldReference gives a reference as NewReference writes it from what a
// person typed: any letter case, with or without the dash, O for 0, I or L
// for 1. What cannot be one comes back trimmed, and will not be found.
func FoldReference(typed string) string {
	folded := referenceFolder.Replace(strings.ToUpper(strings.TrimSpace(typed)))
	if len(folded) != referenceLength {
		return strings.TrimSpace(typed)
	}
	return folded[:5] + "-" + folded[5:]
}
