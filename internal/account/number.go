package account

import (
	"errors"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/nyaruka/phonenumbers"
)

// ErrNumber is a text that cannot be a phone number.
var ErrNumber = errors.New("account: not a phone number")

// ErrNumberCountry is a national number where no region says whose.
var ErrNumberCountry = errors.New("account: a number without its country")

// maxNumber bounds what is parsed.
const maxNumber = 60

// Number is a phone number as it was read.
type Number struct {
	// E164 is the form in which numbers are kept ("+447700900123").
	E164 string
	// Country is the ISO 3166 code of a number that can get texts, or "":
	// landlines, premium rate, personal (070), pagers, satellites and internet
	// telephony cannot, or cost whoever sends. A dialling code is no country:
	// +44 also reaches Jersey, +1 also Jamaica.
	Country string
}

// ReadNumber reads a typed number; one without a country's code belongs to
// region, an ISO 3166 code. Invisible characters that were pasted along do not
// matter.
//
// A number must be possible, not listed as in use: lists of ranges are never
// complete, and would refuse somebody's phone. What is in no list must have
// the length of a mobile number of its country.
func ReadNumber(typed, region string) (Number, error) {
	if len(typed) > 2*maxNumber || !utf8.ValidString(typed) {
		return Number{}, ErrNumber
	}
	typed = strings.TrimSpace(strings.Map(visible, typed))
	if typed == "" || len(typed) > maxNumber || strings.ContainsFunc(typed, unicode.IsLetter) {
		return Number{}, ErrNumber
	}
	if region == "" && !strings.HasPrefix(typed, "+") {
		return Number{}, ErrNumberCountry
	}
	parsed, err := phonenumbers.Parse(typed, region)
	if err != nil || parsed.GetExtension() != "" || phonenumbers.IsPossibleNumberWithReason(parsed) != phonenumbers.IS_POSSIBLE {
		return Number{}, ErrNumber
	}
	n := Number{E164: phonenumbers.Format(parsed, phonenumbers.E164), Country: countryOf(parsed)}
	if !settled(n.E164) || n.Country == "" && !phonenumbers.IsValidNumber(parsed) && !mobileLength(parsed) {
		return Number{}, ErrNumber
	}
	return n, nil
}

// IsCountry tells whether code is the ISO 3166 code of a country with phone
// numbers, in capitals.
func IsCountry(code string) bool { return phonenumbers.GetSupportedRegions()[code] }

// Reached tells whether texts to n are allowed, which go to some countries.
func (n Number) Reached(countries []string) bool {
	return n.Country != "" && slices.Contains(countries, n.Country)
}

func visible(r rune) rune {
	if unicode.Is(unicode.Cf, r) {
		return -1
	}
	return r
}

// settled tells whether E.164 text is read as itself: with zeros in front of
// the national part it may not be, and one phone would have two numbers.
func settled(to string) bool {
	again, err := phonenumbers.Parse(to, "")
	return err == nil && phonenumbers.Format(again, phonenumbers.E164) == to
}

func countryOf(number *phonenumbers.PhoneNumber) string {
	if drama(number) {
		return "GB"
	}
	switch phonenumbers.GetNumberType(number) {
	case phonenumbers.MOBILE, phonenumbers.FIXED_LINE_OR_MOBILE:
		return phonenumbers.GetRegionCodeForNumber(number)
	default:
		return ""
	}
}

// drama tells the mobile numbers that Ofcom keeps for drama, 07700 900000 to
// 900999: nobody has them, and training and tests are full of them.
func drama(number *phonenumbers.PhoneNumber) bool {
	return number.GetCountryCode() == 44 && number.GetNationalNumber()/1000 == 7700900
}

// mobileLength tells whether a number is as long as a mobile number of a
// country with its dialling code.
func mobileLength(number *phonenumbers.PhoneNumber) bool {
	digits := len(phonenumbers.GetNationalSignificantNumber(number))
	return slices.ContainsFunc(phonenumbers.GetRegionCodesForCountryCode(int(number.GetCountryCode())), func(region string) bool {
		example := phonenumbers.GetExampleNumberForType(region, phonenumbers.MOBILE)
		return example != nil && len(phonenumbers.GetNationalSignificantNumber(example)) == digits
	})
}
