package weld

import (
	"net/http"
	"strings"
)

// Cookie is a name and its raw value, as a browser sends them back.
type Cookie struct{ Name, Value string }

// JoinLines makes one Cookie line of a request's (RFC 9113 §8.2.3 lets there
// be several).
func JoinLines(h http.Header) string {
	lines := h["Cookie"]
	if len(lines) == 1 {
		return lines[0]
	}
	return strings.Join(lines, "; ")
}

// split cuts a Cookie line into the cookies that are the app's session and
// the others. What two parsers could read in two ways is dropped: attributes
// of RFC 2965 ("$Version" changes how some read the rest), cookies without a
// name, control bytes, and cookies in whose value some parser would find one
// of the session's.
func (n Names) split(line string) (session []Cookie, others []string) {
	for part := range strings.SplitSeq(line, ";") {
		part = strings.Trim(part, " \t")
		name, value, valued := strings.Cut(part, "=")
		name, value = strings.TrimRight(name, " \t"), strings.TrimLeft(value, " \t")
		switch {
		case name == "" || name[0] == '$' || hasControl(part):
		case n.Has(name):
			if valued && plainName(name) && value != "" {
				session = append(session, Cookie{name, value})
			}
		case n.hidden(part):
		default:
			others = append(others, part)
		}
	}
	return session, others
}

// hidden tells whether a parser that takes commas, blanks or quotes for the
// end of a cookie would find one of the names in part.
func (n Names) hidden(part string) bool {
	if !strings.ContainsAny(part, ", \t\"") {
		return false
	}
	for token := range strings.FieldsFuncSeq(part, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == '"' }) {
		name, _, _ := strings.Cut(token, "=")
		if n.Has(name) {
			return true
		}
	}
	return false
}

// Others is a Cookie line without the session's cookies.
func (n Names) Others(line string) string {
	_, others := n.split(line)
	return strings.Join(others, "; ")
}

// Only is a Cookie line with the session's cookies alone.
func (n Names) Only(line string) string {
	session, _ := n.split(line)
	return join(nil, session)
}

// Cookies are the session's cookies of a line.
func (n Names) Cookies(line string) []Cookie {
	session, _ := n.split(line)
	return session
}

// plainName is a token of RFC 9110 §5.6.2, without what servers rewrite.
func plainName(name string) bool {
	for i := range len(name) {
		c := name[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte("()<>@,;:\\\"/[]?={}%+", c) >= 0 {
			return false
		}
	}
	return name != ""
}

func hasControl(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' && s[i] != '\t' || s[i] == 0x7f {
			return true
		}
	}
	return false
}

// join writes a Cookie line.
func join(others []string, session []Cookie) string {
	var b strings.Builder
	for _, part := range others {
		separate(&b)
		b.WriteString(part)
	}
	for _, c := range session {
		separate(&b)
		b.WriteString(c.Name)
		b.WriteByte('=')
		b.WriteString(c.Value)
	}
	return b.String()
}

func separate(b *strings.Builder) {
	if b.Len() > 0 {
		b.WriteString("; ")
	}
}
