package author

import "strings"

// actionFields are names by which front controllers choose what is done.
var actionFields = []string{"action", "do", "cmd", "method", "op", "page", "task", "event"}

// action is the field of a query that chooses what is done, with its value,
// so that the actions of one page count apart.
func action(raw string) string {
	at := strings.IndexByte(raw, '?')
	if at < 0 {
		return ""
	}
	for rest := raw[at+1:]; rest != ""; {
		var field string
		field, rest, _ = strings.Cut(rest, "&")
		name, value, ok := strings.Cut(field, "=")
		if !ok || value == "" || single("/"+value) {
			continue
		}
		for _, known := range actionFields {
			if strings.EqualFold(name, known) {
				return "?" + field
			}
		}
	}
	return ""
}

// general is the path of a target with `*` for segments that are numbers or
// other names of single things, so that URLs of one kind count together.
func general(raw string) string {
	path := raw
	if at := strings.IndexByte(path, '?'); at >= 0 {
		path = path[:at]
	}
	if at := strings.IndexByte(path, ';'); at >= 0 {
		// Parameters, a session's above all, would make every URL another one.
		end := strings.IndexByte(path[at:], '/')
		if end < 0 {
			path = path[:at]
		} else {
			path = path[:at] + path[at+end:]
		}
	}
	if !strings.ContainsAny(path, "0123456789") {
		return path
	}
	var b []byte
	from := 0
	for from < len(path) {
		to := strings.IndexByte(path[from+1:], '/')
		if to < 0 {
			to = len(path)
		} else {
			to += from + 1
		}
		segment := path[from:to]
		stem, extension := segment, ""
		if dot := strings.LastIndexByte(segment, '.'); dot > 0 {
			stem, extension = segment[:dot], segment[dot:]
		}
		if single(stem) {
			if b == nil {
				b = append(make([]byte, 0, len(path)), path[:from]...)
			}
			b = append(b, "/*"...)
			segment = extension
		}
		if b != nil {
			b = append(b, segment...)
		}
		from = to
	}
	if b == nil {
		return path
	}
	return string(b)
}

// single tells whether a segment, with its slash, names one thing of many: a
// number, or eight or more hex digits, as in a UUID.
func single(segment string) bool {
	digits, hex := 0, 0
	for i := 1; i < len(segment); i++ {
		switch c := segment[i]; {
		case c >= '0' && c <= '9':
			digits++
		case c >= 'a' && c <= 'f', c >= 'A' && c <= 'F', c == '-':
			hex++
		default:
			return false
		}
	}
	return digits > 0 && (hex == 0 || digits+hex >= 8)
}
