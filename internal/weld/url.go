package weld

import (
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/stepgate/stepgate/policy/target"
)

// maxDecodings is how deep a path is looked into, as deep as the policy does.
const maxDecodings = 6

// InURL lists the session ids in a raw path and query: ";jsessionid=X" of any
// segment, "?PHPSESSID=X", by every spelling that some server reads. It finds
// too many rather than too few.
func (n Names) InURL(path, query string) []Cookie {
	var found []Cookie
	for range maxDecodings {
		found = n.parameters(found, path)
		decoded, err := url.PathUnescape(path)
		if err != nil || decoded == path {
			break
		}
		path = decoded
	}
	return n.fields(found, query)
}

// InForm is InURL for a form body, under its Content-Type. It looks at what
// it is given of a body; who has only its beginning reads the rest another
// way.
func (n Names) InForm(contentType string, body []byte) []Cookie {
	if len(body) == 0 || !target.MayBeForm(contentType) {
		return nil
	}
	var found []Cookie
	if !strings.Contains(strings.ToLower(contentType), "multipart") {
		found = n.fields(found, string(body))
	}
	for _, name := range n.partNames(string(body)) {
		values, _ := target.FormValues(contentType, body, name)
		for _, v := range values {
			found = append(found, Cookie{name, v})
		}
	}
	return found
}

// partName is the name of a part, or of whatever a lenient parser takes for
// one (RFC 7578 §4.2).
var partName = regexp.MustCompile(`(?i)\bname\*?[\t ]*=[\t\r\n ]*("[^"\r\n]*"|'[^'\r\n]*'|[^;\r\n\t "']+)`)

func (n Names) partNames(body string) (names []string) {
	for _, m := range partName.FindAllStringSubmatch(body, -1) {
		if name, is := n.name(strings.Trim(m[1], `"' `)); is && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

func (n Names) parameters(found []Cookie, path string) []Cookie {
	_, rest, ok := strings.Cut(path, ";")
	for ok {
		var parameter string
		end := strings.IndexAny(rest, ";/?#")
		if ok = end >= 0; ok {
			parameter, rest = rest[:end], rest[end:]
			_, rest, ok = strings.Cut(rest, ";")
		} else {
			parameter = rest
		}
		found = n.field(found, parameter)
	}
	return found
}

// fields reads a query, or a form that is written as one, once for each idea
// of where a field ends.
func (n Names) fields(found []Cookie, query string) []Cookie {
	for _, separators := range [...]string{"&;?#", "&;", "&"} {
		if separators != "&;?#" && !strings.ContainsAny(query, ";?#") {
			break // it is the same as before
		}
		for part := range strings.FieldsFuncSeq(query, func(r rune) bool { return strings.ContainsRune(separators, r) }) {
			found = n.field(found, part)
		}
	}
	return found
}

func (n Names) field(found []Cookie, text string) []Cookie {
	raw, value, _ := strings.Cut(text, "=")
	if value == "" {
		return found
	}
	if name, is := n.name(raw); is {
		return append(found, Cookie{name, value})
	}
	return found
}
