package target

import "strings"

// decode undoes every escape of s once, but for "%2f" where keepSlash is set.
// A "%" that starts no escape stays. What it gives may be no UTF-8.
func decode(s string, keepSlash bool) string {
	return undo(s, func(c byte, _ string) bool { return !(keepSlash && c == '/') })
}

// decodeHonest undoes the escapes that can only stand for themselves: of
// bytes that reach an upstream escaped or not at all, because neither browsers
// nor Go's client send them raw. "%25" is one where its "%" would start no
// escape.
func decodeHonest(s string) string {
	return undo(s, func(c byte, rest string) bool {
		if c == '%' {
			return !escapeAt("%" + head(rest, 2))
		}
		return c >= 0x80 || classes[c]&classHonest != 0
	})
}

// undo decodes the escapes of s for which want, given the byte and what
// follows the escape, is true.
func undo(s string, want func(c byte, rest string) bool) string {
	i := strings.IndexByte(s, '%')
	if i < 0 {
		return s
	}
	out := make([]byte, i, len(s))
	copy(out, s)
	for i < len(s) {
		if escapeAt(s[i:]) {
			if c := unhex(s[i+1])<<4 | unhex(s[i+2]); want(c, s[i+3:]) {
				out = append(out, c)
				i += 3
				continue
			}
		}
		out = append(out, s[i])
		i++
	}
	return string(out)
}

// escapeAt tells whether s begins with "%" and two hexadecimal digits.
func escapeAt(s string) bool {
	return len(s) >= 3 && s[0] == '%' && isHex(s[1]) && isHex(s[2])
}

// percentU tells whether s holds "%u" and four hexadecimal digits anywhere:
// an escape that only IIS and its kin undo.
func percentU(s string) bool {
	for {
		i := strings.IndexByte(s, '%')
		if i < 0 {
			return false
		}
		s = s[i+1:]
		if len(s) >= 5 && s[0]|0x20 == 'u' && isHex(s[1]) && isHex(s[2]) && isHex(s[3]) && isHex(s[4]) {
			return true
		}
	}
}

func head(s string, n int) string { return s[:min(n, len(s))] }

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f'
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}
