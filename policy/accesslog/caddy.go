package accesslog

import "strings"

// request reads the request of Caddy's log.
func (c *cursor) request(e *Entry) bool {
	remote := ""
	ok := c.object(func(key string) bool {
		switch key {
		case "method":
			return c.into(&e.Method) && (e.Method == "" || isMethod(e.Method))
		case "uri":
			return c.into(&e.Target)
		case "host":
			return c.into(&e.Host)
		case "client_ip":
			return c.into(&e.Client)
		case "remote_ip":
			return c.into(&remote)
		case "headers":
			return c.next() != '{' && c.skip() || c.object(func(name string) bool { return c.header(name, e) })
		default:
			return c.skip()
		}
	})
	if e.Client == "" {
		e.Client = remote
	}
	return ok
}

func (c *cursor) header(name string, e *Entry) bool {
	if name != "User-Agent" || c.next() != '[' {
		return c.skip()
	}
	c.take('[')
	return c.next() != '"' && c.skip() && c.take(']') || c.into(&e.Agent) && c.rest()
}

// isConsole tells of Caddy's console format: a time, a level, a name, a
// message and an object, between tabs.
func isConsole(line string) bool {
	return len(line) > 20 && strings.Contains(line[:min(len(line), 60)], "\t") && strings.HasSuffix(line, "}") && strings.Contains(line, "\t{")
}

// readConsole reads it, with the colours of a terminal or without.
func readConsole(line string, e *Entry) Kind {
	if strings.IndexByte(line, '\x1b') >= 0 {
		line = withoutColours(line)
	}
	stamp, rest, _ := strings.Cut(line, "\t")
	at, ok := moment(stamp)
	if !ok {
		return Broken
	}
	open := strings.Index(rest, "\t{")
	if open < 0 {
		return Other
	}
	_, kind := readJSON(`{"logger":0,"ts":0,`+strings.TrimPrefix(rest[open+1:], "{"), e)
	e.At = at
	return kind
}

func withoutColours(line string) string {
	var b strings.Builder
	for {
		before, behind, ok := strings.Cut(line, "\x1b[")
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		_, line, _ = strings.Cut(behind, "m")
	}
}
