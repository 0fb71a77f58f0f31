package author

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// parseJSON reads Caddy's access log: of each line `ts`, `user_id` and of
// `request` method, host, uri, client_ip or remote_ip.
func parseJSON(line string, e *entry) lineKind {
	*e = entry{}
	c := cursor{text: line}
	timed, logged := false, false
	ok := c.object(func(key string) bool {
		var ok bool
		switch key {
		case "ts":
			e.at, ok = c.time()
			timed = ok
		case "logger", "msg", "level":
			logged = true
			ok = c.skip()
		case "user_id":
			e.user, ok = c.text0()
		case "request":
			ok = c.request(e)
		default:
			ok = c.skip()
		}
		return ok
	})
	switch {
	case !ok:
		return lineBroken
	case e.method == "" || e.target == "" || !timed:
		if !logged {
			return lineBroken
		}
		return lineOther
	default:
		return lineRequest
	}
}

// cursor walks through JSON without keeping it. Its methods tell whether what
// they expected was there; after false it is of no more use.
type cursor struct {
	text string
	at   int
}

func (c *cursor) request(e *entry) bool {
	remote := ""
	ok := c.object(func(key string) bool {
		var ok bool
		switch key {
		case "method":
			e.method, ok = c.text0()
		case "uri":
			e.target, ok = c.text0()
		case "host":
			e.host, ok = c.text0()
		case "client_ip":
			e.client, ok = c.text0()
		case "remote_ip":
			remote, ok = c.text0()
		default:
			ok = c.skip()
		}
		return ok
	})
	if e.client == "" {
		e.client = remote
	}
	return ok
}

func (c *cursor) blanks() {
	for c.at < len(c.text) && (c.text[c.at] == ' ' || c.text[c.at] == '\t') {
		c.at++
	}
}

// take goes behind a byte, and blanks before it.
func (c *cursor) take(b byte) bool {
	c.blanks()
	if c.at < len(c.text) && c.text[c.at] == b {
		c.at++
		return true
	}
	return false
}

// object walks through an object; member reads the value behind each key.
func (c *cursor) object(member func(key string) bool) bool {
	if !c.take('{') {
		return false
	}
	if c.take('}') {
		return true
	}
	for {
		key, ok := c.text0()
		if !ok || !c.take(':') || !member(key) {
			return false
		}
		if c.take('}') {
			return true
		}
		if !c.take(',') {
			return false
		}
	}
}

// text0 reads a string. One with escapes is the only kind that is copied.
func (c *cursor) text0() (string, bool) {
	if !c.take('"') {
		return "", false
	}
	end := quoteEnd(c.text[c.at:])
	if end < 0 {
		return "", false
	}
	raw := c.text[c.at : c.at+end]
	c.at += end + 1
	if strings.IndexByte(raw, '\\') < 0 {
		return raw, true
	}
	var plain string
	err := json.Unmarshal([]byte(`"`+raw+`"`), &plain)
	return plain, err == nil
}

// skip goes behind a value of any kind.
func (c *cursor) skip() bool {
	c.blanks()
	depth := 0
	for c.at < len(c.text) {
		switch c.text[c.at] {
		case '"':
			end := quoteEnd(c.text[c.at+1:])
			if end < 0 {
				return false
			}
			c.at += end + 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return true
			}
			depth--
		case ',':
			if depth == 0 {
				return true
			}
		}
		c.at++
	}
	return false
}

// time reads a moment as Caddy's encoders write it: seconds with a fraction,
// or one of their texts.
func (c *cursor) time() (int64, bool) {
	c.blanks()
	if c.at < len(c.text) && c.text[c.at] == '"' {
		text, ok := c.text0()
		if !ok {
			return 0, false
		}
		for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05.000Z0700", "2006/01/02 15:04:05.000", "2006/01/02 15:04:05", commonLayout} {
			if at, err := time.Parse(layout, text); err == nil {
				return at.Unix(), true
			}
		}
		return 0, false
	}
	from := c.at
	if !c.skip() {
		return 0, false
	}
	number, exponent := c.text[from:c.at], strings.ContainsAny(c.text[from:c.at], "eE")
	if exponent {
		f, err := strconv.ParseFloat(number, 64)
		return int64(f), err == nil
	}
	whole, _, _ := strings.Cut(number, ".")
	ok := whole != ""
	n := digits(whole, &ok)
	if n > 1e17 { // nanoseconds
		n /= 1e9
	} else if n > 1e11 { // milliseconds
		n /= 1e3
	}
	return n, ok
}
