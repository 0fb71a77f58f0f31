package factors

import (
	"crypto/rand"
	"strings"
)

// paperAlphabet is Crockford's base32: no letter in it looks like a digit.
const paperAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// paperGroup is how many letters stand together.
const paperGroup = 4

// NewPaperCode makes a code for people to keep on paper or to hear over the
// telephone: groups of four letters of Crockford's base32, 20 random bits
// each, joined by hyphens.
func NewPaperCode(groups int) string {
	random := make([]byte, groups*paperGroup)
	rand.Read(random) // never fails: the program ends instead
	var b strings.Builder
	for i, r := range random {
		if i > 0 && i%paperGroup == 0 {
			b.WriteByte('-')
		}
		b.WriteByte(paperAlphabet[r%32]) // 256 is a multiple of 32: no letter is favoured
	}
	return b.String()
}

// ReadPaperCode gives a typed code as NewPaperCode wrote it, however the
// person groups and spells it: O is 0, I and L are 1, capitals or not. False
// says that it is no code of so many groups.
func ReadPaperCode(typed string, groups int) (string, bool) {
	if len(typed) > 8*groups*paperGroup {
		return "", false
	}
	var b strings.Builder
	n := 0
	for _, r := range strings.ToUpper(typed) {
		switch r {
		case ' ', '\t', '-', '\u2010', '\u2011', '\u2012', '\u2013', '\u00a0':
			continue
		case 'O':
			r = '0'
		case 'I', 'L':
			r = '1'
		}
		if !strings.ContainsRune(paperAlphabet, r) || n == groups*paperGroup {
			return "", false
		}
		if n > 0 && n%paperGroup == 0 {
			b.WriteByte('-')
		}
		b.WriteRune(r)
		n++
	}
	return b.String(), n == groups*paperGroup
}
