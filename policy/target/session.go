package target

import "strings"

// sessionToken gives how many bytes at the beginning of a folded segment only
// carry a session, or 0: ASP.NET's "(s(…))", "(x(1))", "(a(…)f(…))", which the
// server takes out wherever a segment begins, and the 24 letters in
// parentheses of its first version.
func sessionToken(segment string) int {
	if !strings.HasPrefix(segment, "(") {
		return 0
	}
	if end := strings.IndexByte(segment, ')'); end == len(segment)-1 && end == 25 && alphanumeric(segment[1:end]) {
		return len(segment)
	}
	for at := 1; ; {
		rest := segment[at:]
		if len(rest) < 2 || rest[0] < 'a' || rest[0] > 'z' || rest[1] != '(' {
			return 0
		}
		end := strings.IndexByte(rest, ')')
		if end < 0 || end+1 == len(rest) {
			return 0
		}
		at += end + 1
		if segment[at] == ')' {
			return at + 1
		}
	}
}

func alphanumeric(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// withoutSession adds the paths without the session at the beginning of a
// segment. What stands behind it in the segment has joined the one before in
// some versions, as the slash goes too.
func (c *closure) withoutSession(path string, start, end, from int) error {
	n := sessionToken(path[start:end])
	if n == 0 {
		return nil
	}
	joined := path[:start-1] + path[start+n:]
	if !strings.HasPrefix(joined, "/") {
		joined = "/" + joined
	}
	if err := c.addDecoded(joined, from, withoutSession); err != nil {
		return err
	}
	return c.addDecoded(path[:start]+path[start+n:], from, withoutSession)
}
