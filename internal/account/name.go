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
// case folded (contract, section 5), so that "Ｊoe " and "joe" are one.
func FoldUsername(name string) string {
	return norm.NFKC.String(cases.Fold().String(norm.NFKC.String(strings.TrimSpace(name))))
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
