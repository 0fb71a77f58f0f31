package oob

import (
	"fmt"
	"net/url"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// maxText is how many GSM-7 characters one text holds (3GPP TS 23.038); a
// longer one is sent, and paid, as several.
const maxText = 160

// what says what a code is for, after "your code to …"; thing is what it is
// sent to.
func what(purpose, thing, name string) string {
	switch purpose {
	case "enrol":
		return "add this " + thing + " to " + name
	case "reset-password":
		return "choose a new password for " + name
	case "sign-in", "step-up":
		return "sign in to " + name
	default:
		return "confirm a change at " + name
	}
}

// text is a message that ends with the origin-bound line (WICG
// sms-one-time-codes, "Authoring"): the last line, the host without scheme
// and port, one space, the code. Of the wordings the longest that fits is
// taken.
func text(l letter) string {
	last := "\n\n@" + hostOf(l.scope.Site) + " #" + l.code
	name := smsName(l.scope.SiteName)
	var wordings []string
	if name != "" {
		purpose := what(l.scope.Purpose, "phone", name)
		wordings = append(wordings,
			fmt.Sprintf("%s is your code to %s. Do not share it. It works for %d minutes.", l.code, purpose, l.minutes),
			fmt.Sprintf("%s is your code to %s. Do not share it.", l.code, purpose),
			fmt.Sprintf("%s is your code for %s.", l.code, name))
	}
	wordings = append(wordings,
		fmt.Sprintf("%s is your code to %s. Do not share it.", l.code, what(l.scope.Purpose, "phone", "this site")),
		fmt.Sprintf("%s is your code.", l.code))
	for _, words := range wordings {
		if len(words)+len(last) <= maxText {
			return words + last
		}
	}
	return wordings[len(wordings)-1] + last
}

// hostOf is the host of an origin, without its port.
func hostOf(origin string) string {
	u, err := url.Parse(origin)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// smsName is a portal's name in characters that cost one place in a text:
// letters lose their accents, anything else becomes a blank. A name that a
// phone would show as a link is left out.
func smsName(name string) string {
	var out strings.Builder
	for _, r := range norm.NFKD.String(name) {
		switch {
		case unicode.Is(unicode.Mn, r):
		case strings.ContainsRune(septets, r):
			out.WriteRune(r)
		case r == '’' || r == '‘':
			out.WriteByte('\'')
		default:
			out.WriteByte(' ')
		}
	}
	clean := strings.Join(strings.Fields(out.String()), " ")
	if strings.ContainsFunc(clean, unicode.IsLetter) && !linkLike(clean) {
		return clean
	}
	return ""
}

// septets are the ASCII characters of GSM-7's first table that a name may
// hold. '@' and '#' have a meaning in the last line.
const septets = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 &'()*+,-./:;!?%=\""

// linkLike tells whether a phone could take a part of text for an address.
func linkLike(text string) bool {
	for _, word := range strings.Fields(text) {
		for i := 1; i+1 < len(word); i++ {
			if word[i] == '.' && word[i+1] != '.' || strings.HasPrefix(word[i:], "://") {
				return true
			}
		}
	}
	return false
}

// mailFor is an e-mail with a code. The subject, which notifications show on
// locked screens, has none.
func mailFor(l letter) (subject, body string) {
	name := oneLine(l.scope.SiteName)
	if name == "" {
		name = hostOf(l.scope.Site)
	}
	return "Your code for " + name, fmt.Sprintf(`Your code to %s is

%s

Enter it on the page that asked for it. It works once, for %d minutes. Do not
share it: we never ask for it by phone or e-mail.

If you did not ask for it, somebody may know your password. Go to %s as you
always do, and change it.
`, what(l.scope.Purpose, "address", name), l.code, l.minutes, name)
}

// oneLine makes text fit for a header.
func oneLine(text string) string {
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
}
