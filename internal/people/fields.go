package people

import (
	"errors"
	"net/mail"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/policy"
)

// Limits of what a record may hold, in runes.
const (
	maxNameRunes  = 200
	maxEmailRunes = 254 // RFC 5321 §4.5.3.1.3, less the angle brackets
	maxGroupRunes = 100
	maxGroups     = 200
)

func cleanUsername(typed string) (string, error) {
	if err := account.CheckUsername(typed); err != nil {
		return "", invalid(say("username %q cannot be used", typed), say("it needs 1 to 200 characters, none of them invisible"))
	}
	return strings.TrimSpace(typed), nil
}

func cleanName(typed string) (string, error) {
	name := strings.TrimSpace(typed)
	if !plain(name) || utf8.RuneCountInString(name) > maxNameRunes {
		return "", invalid(say("name %q cannot be used", name), say("at most %d characters, no control characters", maxNameRunes))
	}
	return name, nil
}

// cleanParts gives the parts of a name and the name that they make.
func cleanParts(typed account.NameParts) (account.NameParts, string, error) {
	for _, part := range []*string{&typed.Title, &typed.First, &typed.Middle, &typed.Last} {
		clean, err := cleanName(*part)
		if err != nil {
			return account.NameParts{}, "", err
		}
		*part = strings.Join(strings.Fields(clean), " ")
	}
	name, err := cleanName(typed.Whole())
	return typed, name, err
}

// cleanEmail accepts one bare address, the way it is used as an envelope
// recipient, or nothing.
func cleanEmail(typed string) (string, error) {
	address := strings.TrimSpace(typed)
	if address == "" {
		return "", nil
	}
	parsed, err := mail.ParseAddress(address)
	if err != nil || parsed.Address != address || !plain(address) || utf8.RuneCountInString(address) > maxEmailRunes {
		return "", invalid(say("%q is not an e-mail address", address), say("write it as name@example.org"))
	}
	return address, nil
}

// cleanMobile turns what was typed into E.164, or nothing into nothing.
func cleanMobile(typed, region string) (string, error) {
	if strings.TrimSpace(typed) == "" {
		return "", nil
	}
	number, err := account.ReadNumber(typed, region)
	switch {
	case errors.Is(err, account.ErrNumberCountry):
		return "", invalid(say("%q does not say which country's number it is", typed), say("begin it with + and the country's code, or set `region` in the stepgate block"))
	case err != nil:
		return "", invalid(say("%q cannot be a mobile phone number", typed), say("write it as +447700900123"))
	}
	return number.E164, nil
}

// Unreached says why no text reaches a number that an account has, or nothing
// where texts do, or where nobody said which countries they go to.
func (p *People) Unreached(mobile string) Phrase {
	if mobile == "" || len(p.TextCountries) == 0 {
		return Phrase{}
	}
	number, err := account.ReadNumber(mobile, p.Region)
	if err == nil && number.Reached(p.TextCountries) {
		return Phrase{}
	}
	why := say("it is not listed as a mobile number")
	if number.Country != "" {
		why = say("it is a number of %s", number.Country)
	}
	return say("no text message reaches %s: %s, and texts go to mobile numbers of %s (`sms_countries`)", mobile, why, strings.Join(p.TextCountries, ", "))
}

// cleanGroups trims, leaves out what is empty or repeated and keeps the
// order. Commas would be lost in the upstream's header (contract, section 6).
func cleanGroups(typed []string) ([]string, error) {
	var groups []string
	for _, g := range typed {
		g = strings.TrimSpace(g)
		if g == "" || slices.Contains(groups, g) {
			continue
		}
		if !plain(g) || strings.ContainsAny(g, ",;") || utf8.RuneCountInString(g) > maxGroupRunes {
			return nil, invalid(say("group %q cannot be used", g), say("at most %d characters, no comma, semicolon or control character; name one group each time", maxGroupRunes))
		}
		groups = append(groups, g)
	}
	if len(groups) > maxGroups {
		return nil, invalid(say("%d groups are too many", len(groups)), say("an account has at most %d", maxGroups))
	}
	return groups, nil
}

func cleanRole(typed account.Role) (account.Role, error) {
	if typed == "" {
		return account.RoleUser, nil
	}
	role := account.Role(strings.ToLower(strings.TrimSpace(string(typed))))
	if role.Valid() {
		return role, nil
	}
	words := make([]string, 0, len(account.Roles()))
	for _, r := range account.Roles() {
		words = append(words, string(r))
	}
	mend := say("the roles are %s", strings.Join(words, ", "))
	if meant := policy.Nearest(string(role), words); meant != "" {
		mend = say("did you mean %q? The roles are %s", meant, strings.Join(words, ", "))
	}
	return "", invalid(say("there is no role %q", typed), mend)
}

func cleanOrganisationName(typed string) (string, error) {
	name := strings.TrimSpace(typed)
	if name == "" || !plain(name) || strings.ContainsAny(name, ",;") || utf8.RuneCountInString(name) > maxGroupRunes {
		return "", invalid(say("organisation name %q cannot be used", typed), say("it needs 1 to %d characters, no comma, semicolon or control character", maxGroupRunes))
	}
	return name, nil
}

// plain tells whether text is valid UTF-8 that stays on one line and hides
// nothing: no control and no format characters.
func plain(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool {
		return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029'
	})
}
