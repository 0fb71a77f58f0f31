package gate

import (
	"net/http"
	"strings"

	"github.com/stepgate/stepgate/internal/session"
)

// fate is what a step makes of an answer.
type fate int

const (
	goes  fate = iota // on to the next step, and out after the last
	waits             // until the app has been asked
	stays             // inside: it was replaced, or is an early one that nobody is to see
)

// headerSteps is what becomes of the header of an upstream's answer, in this
// order. Each step has the header as the one before left it. Steps that are
// not marked final see answers of the 1xx kind too, which are not the last
// word.
var headerSteps = [...]struct {
	name  string
	final bool
	do    func(a *Answer, h http.Header) fate
}{
	{"protocol", false, (*Answer).keepProtocol}, // what only the connection may say
	{"words", false, (*Answer).keepOwnWords},    // what only the gateway may say
	{"cookies", false, (*Answer).keepOwnCookies},
	{"cache", true, (*Answer).keepPrivate},
	{"script", true, (*Answer).addScript},
	{"stream", true, (*Answer).superviseStream}, // by the content's type, which no step before changes
	{"question", true, (*Answer).keepQuestion},  // which the app puts to who signed in at the gateway's page
	{"person", false, (*Answer).keepPerson},     // what the request may have made of the session's cookie
	{"welded", true, (*Answer).weldCookies},     // cookies that the app sets, once its answer may be seen
	{"going", true, (*Answer).sendOn},           // in place of the page on which the app's sign-in ended
	{"leave", false, (*Answer).endSession},      // with the app's own sign-out
	{"ours", true, (*Answer).addOurs},           // after all of the app's are judged
}

// keepProtocol leaves a change of protocol only to a WebSocket's answer.
func (a *Answer) keepProtocol(h http.Header) fate {
	if a.opened {
		delete(h, "Content-Length")
		delete(h, "Transfer-Encoding")
	} else {
		cleanProtocol(h)
	}
	return goes
}

func (a *Answer) keepOwnWords(h http.Header) fate {
	delete(h, "Service-Worker-Allowed")
	if challenges, ok := h["Www-Authenticate"]; ok {
		keepStrings(h, "Www-Authenticate", challenges, func(c string) bool {
			return !challengesAs(c, "Stepgate")
		})
	}
	return goes
}

func (a *Answer) keepOwnCookies(h http.Header) fate {
	if cookies, ok := h["Set-Cookie"]; ok {
		keepStrings(h, "Set-Cookie", cookies, func(c string) bool {
			return !session.Reserved(cookieName(c))
		})
	}
	return goes
}

// cookieName is the name under which a browser sends back what a Set-Cookie
// line gives it: it leaves out an empty name, and the "=" behind it.
func cookieName(line string) string {
	name, rest, valued := strings.Cut(line, "=")
	for valued && strings.TrimSpace(name) == "" {
		name, rest, valued = strings.Cut(rest, "=")
	}
	return strings.TrimSpace(name)
}

func (a *Answer) keepPrivate(h http.Header) fate {
	if a.Private && h["Cache-Control"] == nil && h["Expires"] == nil && h["Pragma"] == nil {
		// A browser that may guess how long it keeps an answer (RFC 9111
		// §4.2.2) would show it after its session has ended.
		a.private[0] = "private, no-cache"
		h["Cache-Control"] = a.private[:]
	}
	return goes
}

// addScript has the body go through what adds the script, where it is a page
// that a browser will show.
func (a *Answer) addScript(h http.Header) fate {
	if a.Page != nil && a.Page.Prepare(a.status, h) {
		a.body = a.Page.Body(beyond{a})
	}
	return goes
}

// keepPerson keeps an answer in whose meaning the app may have taken the
// session's cookie for somebody else's.
func (a *Answer) keepPerson(h http.Header) fate {
	switch {
	case a.weld == nil:
		return goes
	case !a.sent && !a.weld.Early(h):
		return stays
	case !a.sent:
		return goes
	}
	wait, why := a.weld.Judge(a.status, h)
	switch {
	case why != nil:
		return a.replace(a.weld.Refusal(why))
	case wait:
		return waits
	default:
		return goes
	}
}

// weldCookies remembers the cookies of an answer that may be seen, unless it
// names another person.
func (a *Answer) weldCookies(h http.Header) fate {
	if a.weld == nil {
		return goes
	}
	if why := a.weld.Weld(a.status, h); why != nil {
		return a.replace(a.weld.Refusal(why))
	}
	return goes
}

// sendOn sends the person on in place of the page on which the app's sign-in
// ended.
func (a *Answer) sendOn(h http.Header) fate {
	if a.going == nil || a.status != http.StatusOK || !strings.HasPrefix(strings.ToLower(h.Get("Content-Type")), "text/html") {
		return goes
	}
	for name := range h {
		if strings.HasPrefix(name, "Content-") || name == "Etag" || name == "Last-Modified" || name == "Cache-Control" || name == "Expires" {
			delete(h, name)
		}
	}
	return a.replace(a.going)
}

// endSession takes the session away with an answer to a sign-out.
func (a *Answer) endSession(h http.Header) fate {
	l := a.leave
	switch {
	case l == nil:
		return goes
	case a.status < 200 && l.Below:
		return stays
	case a.status < 200:
		return goes
	}
	l.End(a.ResponseWriter, a.Request, a.status)
	if l.Below {
		a.status, a.bodiless = l.Hide(a.status, h), true
	}
	return goes
}

// addOurs adds the gateway's own cookies to those of the app.
func (a *Answer) addOurs(h http.Header) fate {
	if a.ours != nil {
		h["Set-Cookie"] = append(h["Set-Cookie"], a.ours...)
	}
	return goes
}

// CorrectHeader takes away what only the gateway may say, from an answer that
// goes out by another way.
func CorrectHeader(h http.Header) {
	var a Answer
	a.keepOwnWords(h)
	a.keepOwnCookies(h)
}

// challengesAs finds a scheme in a list of challenges
// (RFC 9110 §11.6.1), wherever it stands in it, but not inside a quoted value.
func challengesAs(list, scheme string) bool {
	quoted, begin := false, true
	for i := 0; i < len(list); i++ {
		switch c := list[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == ',':
			begin = true
		case c == ' ' || c == '\t':
		case begin:
			begin = false
			found, _, _ := strings.Cut(list[i:], " ")
			found, _, _ = strings.Cut(found, ",")
			if strings.EqualFold(strings.TrimSpace(found), scheme) {
				return true
			}
		}
	}
	return false
}

// keepStrings drops the values that keep refuses. A header that the upstream
// sent with none refused stays as it is.
func keepStrings(h http.Header, name string, values []string, keep func(string) bool) {
	var left []string
	for i, v := range values {
		switch {
		case keep(v):
			if left != nil {
				left = append(left, v)
			}
		case left == nil:
			left = append(make([]string, 0, len(values)), values[:i]...)
		}
	}
	switch {
	case left == nil:
	case len(left) == 0:
		delete(h, name)
	default:
		h[name] = left
	}
}
