package oob

import (
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
func (l letter) what(thing, name string) string {
	id := "purpose.change"
	switch l.scope.Purpose {
	case "enrol":
		id = "purpose.enrol." + thing
	case "reset-password":
		id = "purpose.reset-password"
	case "sign-in", "step-up":
		id = "purpose.sign-in"
	}
	return l.say(id, "name", name)
}

func (l letter) say(id string, params ...string) string {
	return say(l.scope.Language, id, append(params, "code", l.code, "minutes", sayMinutes(l.scope.Language, l.minutes))...)
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
		purpose := l.what("phone", name)
		wordings = append(wordings, l.say("sms.whole", "purpose", purpose), l.say("sms.short", "purpose", purpose), l.say("sms.name", "name", name))
	}
	wordings = append(wordings, l.say("sms.short", "purpose", l.what("phone", say(l.scope.Language, "this-site"))), l.say("sms.bare"))
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
	return l.say("mail.subject", "name", name), l.say("mail.body", "purpose", l.what("address", name), "name", name)
}

// oneLine makes text fit for a header.
func oneLine(text string) string {
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
}
