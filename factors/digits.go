package factors

import (
	"strings"
	"unicode"
)

// maxTyped bounds what is looked at of an answer, in bytes.
const maxTyped = 64

// Digits reads a code of n digits as people and apps write it ("123 456"):
// blanks and dashes are taken out. What is left has to be n ASCII digits:
// others are refused rather than guessed at, for pages have folded what can be
// folded. It is for codes that come by an app or by a message (RFC 6238, SP
// 800-63B-4 §3.1.3.2).
func Digits(typed string, n int) (string, bool) {
	if len(typed) > maxTyped {
		return "", false
	}
	code := strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.Is(unicode.Pd, r) || r == '\u2212' {
			return -1
		}
		return r
	}, typed)
	return code, len(code) == n && strings.Trim(code, "0123456789") == ""
}
