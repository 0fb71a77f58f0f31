package password

import (
	"fmt"
	"unicode/utf8"

	"github.com/stepgate/stepgate/internal/account"
)

// Reason is why a password was refused; pages have a text for each.
type Reason string

// The reasons.
const (
	TooShort Reason = "too-short"
	TooLong  Reason = "too-long"
	// NotText is for bytes that are no UTF-8.
	NotText Reason = "not-text"
	// Personal is a password made of the username, the portal's name or the
	// product's.
	Personal Reason = "personal"
	// Common is a password that many people choose.
	Common Reason = "common"
)

// Refusal is the error of Rules.Check; the person is told its reason and may
// choose again. It never holds the password.
type Refusal struct {
	Reason Reason
	// Min and Max are the bounds in code points, for the text.
	Min, Max int
}

func (r *Refusal) Error() string { return fmt.Sprintf("password refused: %s", r.Reason) }

const (
	// MinLength is the least number of code points of a password that is
	// always used with a second factor; AloneLength of one that may be used
	// alone (SP 800-63B-4 §3.1.1.2).
	MinLength   = 8
	AloneLength = 15
	// MaxLength is the greatest number of code points.
	MaxLength = 256
)

// Rules say which passwords may be chosen. There are none about kinds of
// characters, and none about age: they make passwords worse (SP 800-63B-4
// §3.1.1.2). The zero value is good.
type Rules struct {
	// MinLength in code points after NFC. Default and least: 8.
	MinLength int
}

// Check returns a *Refusal for a password that may not be chosen. The whole
// password is compared, so a phrase may contain a listed word.
func (r Rules) Check(password account.Secret, username, siteName string) error {
	least := max(r.MinLength, MinLength)
	text := string(canonical(password))
	length := utf8.RuneCountInString(text)
	refuse := func(reason Reason) error { return &Refusal{Reason: reason, Min: least, Max: MaxLength} }
	switch {
	case !utf8.ValidString(text):
		return refuse(NotText)
	case length < least:
		return refuse(TooShort)
	case length > MaxLength:
		return refuse(TooLong)
	case personal(text, username, siteName):
		return refuse(Personal)
	case common(text):
		return refuse(Common)
	}
	return nil
}
