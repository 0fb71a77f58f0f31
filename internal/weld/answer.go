package weld

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// SetCookie is one Set-Cookie line of an answer.
type SetCookie struct {
	Cookie
	// Gone says that the line takes the cookie away.
	Gone bool
	// attributes is the rest of the line, its ";" included.
	attributes string
}

// ParseSetCookie reads a line as browsers do (RFC 6265 §5.2). ok is false for
// a line without a name.
func ParseSetCookie(line string, now time.Time) (c SetCookie, ok bool) {
	pair, attributes := line, ""
	if i := strings.IndexByte(line, ';'); i >= 0 {
		pair, attributes = line[:i], line[i:]
	}
	name, value, ok := strings.Cut(pair, "=")
	c = SetCookie{Cookie: Cookie{strings.Trim(name, " \t"), strings.Trim(value, " \t")}, attributes: attributes}
	c.Gone = c.Value == "" || expired(attributes, now)
	return c, ok && c.Name != ""
}

// expired goes by Max-Age where there is one, else by Expires.
func expired(attributes string, now time.Time) bool {
	gone, aged := false, false
	for part := range strings.SplitSeq(attributes, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch {
		case strings.EqualFold(name, "Max-Age"):
			if seconds, err := strconv.Atoi(value); err == nil || strings.HasPrefix(value, "-") {
				gone, aged = seconds <= 0, true
			}
		case strings.EqualFold(name, "Expires") && !aged:
			gone = past(value, now)
		}
	}
	return gone
}

func past(text string, now time.Time) bool {
	for _, layout := range []string{time.RFC1123, time.RFC850, time.ANSIC, "Mon, 02-Jan-2006 15:04:05 MST", "Mon, 02-Jan-06 15:04:05 MST"} {
		if at, err := time.Parse(layout, text); err == nil {
			return !at.After(now)
		}
	}
	return false
}

// Issued lists the session cookies that an answer gives. Those that it takes
// away are not among them.
func (n Names) Issued(h http.Header, now time.Time) []Cookie {
	var issued []Cookie
	for _, line := range h["Set-Cookie"] {
		if c, ok := ParseSetCookie(line, now); ok && !c.Gone && n.Has(c.Name) {
			issued = append(issued, c.Cookie)
		}
	}
	return issued
}

// After is the Cookie line of a browser that sent line and then got the
// answer, wherever its cookies are meant for.
func After(line string, h http.Header, now time.Time) string {
	var names []string
	kept := map[string]string{}
	put := func(c Cookie) {
		if _, known := kept[c.Name]; !known {
			names = append(names, c.Name)
		}
		kept[c.Name] = c.Value
	}
	for part := range strings.SplitSeq(line, ";") {
		if name, value, ok := strings.Cut(strings.TrimSpace(part), "="); ok && name != "" {
			put(Cookie{name, value})
		}
	}
	for _, raw := range h["Set-Cookie"] {
		c, ok := ParseSetCookie(raw, now)
		switch {
		case !ok:
		case c.Gone:
			delete(kept, c.Name)
		default:
			put(c.Cookie)
		}
	}
	var all []Cookie
	for _, name := range names {
		if value, ok := kept[name]; ok {
			all = append(all, Cookie{name, value})
			delete(kept, name)
		}
	}
	return join(nil, all)
}
