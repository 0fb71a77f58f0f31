package password

import (
	"unicode/utf8"

	"github.com/stepgate/stepgate/internal/account"
)

// Strength is how hard a password is to guess, as far as its length and its
// different characters tell. What many people choose has been refused before.
type Strength string

// The strengths; pages have words for each.
const (
	Fair   Strength = "fair"
	Good   Strength = "good"
	Strong Strength = "strong"
)

// goodLength and strongLength are from how many characters a password is good,
// and strong, if it has at least half as many different ones. The script of the
// pages counts as this does.
const (
	goodLength   = 12
	strongLength = 16
)

// Measure tells how strong a password is that the rules let pass.
func Measure(password account.Secret) Strength {
	text := string(canonical(password))
	different := map[rune]bool{}
	for _, r := range text {
		different[r] = true
	}
	switch length := min(utf8.RuneCountInString(text), 2*len(different)); {
	case length >= strongLength:
		return Strong
	case length >= goodLength:
		return Good
	default:
		return Fair
	}
}
