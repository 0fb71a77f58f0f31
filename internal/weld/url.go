package weld

import (
	"net/url"
	"strings"
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

func (n Names) fields(found []Cookie, query string) []Cookie {
	for part := range strings.FieldsFuncSeq(query, func(r rune) bool { return strings.ContainsRune("&;?#", r) }) {
		found = n.field(found, part)
	}
	return found
}

func (n Names) field(found []Cookie, text string) []Cookie {
	name, value, _ := strings.Cut(text, "=")
	if value != "" && n.Has(name) {
		return append(found, Cookie{name, value})
	}
	return found
}
