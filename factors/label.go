package factors

import (
	"strings"
	"unicode"
)

// maxLabelRunes bounds what a person calls a credential.
const maxLabelRunes = 60

// Printable drops what is no text and trims the rest.
func Printable(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s))
}

// CleanLabel is what a person calls a credential, as it is kept: printable
// and at most 60 characters. Empty where they typed nothing.
func CleanLabel(typed string) string {
	runes := []rune(Printable(typed))
	return strings.TrimSpace(string(runes[:min(len(runes), maxLabelRunes)]))
}
