package account

import (
	"errors"
	"strings"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// ErrBadUsername is what CheckUsername wraps; its text is for the person who
// typed the name.
var ErrBadUsername = errors.New("account: unusable username")

const maxUsernameRunes = 200

// FoldUsername is the form in which usernames are compared: trimmed, NFKC and
// case folded (contract, section 5), so that "Ｊoe " and "joe" are one. It is
// stable: folding it again changes nothing.
func FoldUsername(name string) string {
	folded := cases.Fold().String(norm.NFKC.String(strings.TrimSpace(name)))
	return strings.TrimSpace(norm.NFKC.String(strings.Map(oneCase, folded)))
}

// oneCase is one letter for all that differ by case alone. Full folding takes
// some scripts' small letters to their capitals and back.
func oneCase(r rune) rune {
	least := r
	for other := unicode.SimpleFold(r); other != r; other = unicode.SimpleFold(other) {
		least = min(least, other)
	}
	return unicode.ToLower(least)
}

// CheckUsername refuses names that a log line, a header or a person could
// misread: empty, longer than 200 characters, with control or format
// characters, or not valid UTF-8.
func CheckUsername(name string) error {
	folded := FoldUsername(name)
	n := 0
	for _, r := range folded {
		if r == unicode.ReplacementChar || unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029' {
			return ErrBadUsername
		}
		n++
	}
	if n == 0 || n > maxUsernameRunes {
		return ErrBadUsername
	}
	return nil
}
