package oob

import (
	"fmt"
	"net/mail"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/internal/account"
)

// address is where a code goes.
type address struct {
	// to is E.164, or an e-mail address whose domain is in small letters.
	to string
	// country is the ISO 3166 code of a number's country.
	country string
}

// Numbers says which phone numbers get texts.
type Numbers struct {
	// Region is the country of numbers written without one ("GB").
	Region string
	// Countries are those that texts may go to, by ISO 3166 code.
	Countries []string
}

// Check tells a word that is no country's code, such as UK.
func (n Numbers) Check() error {
	if !account.IsCountry(n.Region) {
		return fmt.Errorf("region %s: expected the ISO 3166 code of a country, such as GB", n.Region)
	}
	for _, country := range n.Countries {
		if !account.IsCountry(country) {
			return fmt.Errorf("codes: sms_countries %s: expected ISO 3166 codes of countries, such as GB", country)
		}
	}
	return nil
}

// parse gives the address of a typed number. Its error is a
// *factors.NumberError, which names the countries that texts go to.
func (n Numbers) parse(typed string) (address, error) {
	number, err := account.ReadNumber(typed, n.Region)
	if err != nil || !number.Reached(n.Countries) {
		return address{}, &factors.NumberError{Countries: n.Countries}
	}
	return address{to: number.E164, country: number.Country}, nil
}

// maskNumber is all that pages show of a number.
func maskNumber(to, language string) string { return say(language, "ending", "end", ending(to)) }

func ending(to string) string { return to[max(0, len(to)-3):] }

// maxEmail is RFC 5321 §4.5.3.1.3, less the angle brackets.
const maxEmail = 254

// parseEmail gives the address of a typed e-mail address, or
// factors.ErrBadAddress.
func parseEmail(typed string) (address, error) {
	typed = strings.TrimSpace(typed)
	if len(typed) > maxEmail || !utf8.ValidString(typed) || strings.ContainsFunc(typed, unreadable) {
		return address{}, factors.ErrBadAddress
	}
	parsed, err := mail.ParseAddress(typed)
	if err != nil || parsed.Address != typed || parsed.Name != "" {
		return address{}, factors.ErrBadAddress
	}
	local, domain, _ := cutLast(typed, '@')
	if local == "" || strings.ContainsAny(local, `"`) || !hostname(domain) {
		return address{}, factors.ErrBadAddress
	}
	return address{to: local + "@" + strings.ToLower(domain)}, nil
}

func unreadable(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }

// hostname tells whether text is a domain of two labels or more, not an
// address literal.
func hostname(text string) bool {
	labels := strings.Split(text, ".")
	return len(labels) > 1 && !slices.ContainsFunc(labels, func(l string) bool {
		return l == "" || len(l) > 63 || strings.ContainsFunc(l, func(r rune) bool {
			return r != '-' && !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r)
		})
	})
}

// foldEmail is an address as budgets and comparisons know it.
func foldEmail(to string) string { return strings.ToLower(to) }

// maskEmail shows the first letters and the last label: j…@e….test.
func maskEmail(to string) string {
	local, domain, _ := cutLast(to, '@')
	_, top, _ := cutLast(domain, '.')
	return first(local) + "…@" + first(domain) + "…." + top
}

func first(text string) string {
	r, size := utf8.DecodeRuneInString(text)
	if size == 0 {
		return ""
	}
	return string(r)
}

func cutLast(text string, at byte) (before, after string, found bool) {
	if i := strings.LastIndexByte(text, at); i >= 0 {
		return text[:i], text[i+1:], true
	}
	return text, "", false
}
