package accesslog

import (
	"encoding/json"
	"strings"
)

// cursor walks through JSON without keeping it. Its methods tell whether what
// they expected was there; after false it is of no more use.
type cursor struct {
	text string
	at   int
}

// rest goes behind what is left of a list.
func (c *cursor) rest() bool {
	for c.take(',') {
		if !c.skip() {
			return false
		}
	}
	return c.take(']')
}

func (c *cursor) blanks() {
	for c.at < len(c.text) && (c.text[c.at] == ' ' || c.text[c.at] == '\t') {
		c.at++
	}
}

// next is the first byte of what follows, 0 for nothing.
func (c *cursor) next() byte {
	c.blanks()
	if c.at < len(c.text) {
		return c.text[c.at]
	}
	return 0
}

// take goes behind a byte, and blanks before it.
func (c *cursor) take(b byte) bool {
	if c.next() == b {
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
		key, ok := c.quoted()
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

// into reads a word into a text; where it is none, the text stays empty.
func (c *cursor) into(text *string) bool {
	word, ok := c.word()
	*text = dashless(word)
	return ok
}

// word reads a string or a number; another value is empty.
func (c *cursor) word() (string, bool) {
	switch b := c.next(); {
	case b == '"':
		return c.quoted()
	case b >= '0' && b <= '9', b == '-':
		from := c.at
		ok := c.skip()
		return strings.TrimRight(c.text[from:c.at], " "), ok
	default:
		return "", c.skip()
	}
}

// quoted reads a string. One with escapes is the only kind that is copied.
func (c *cursor) quoted() (string, bool) {
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
	if json.Unmarshal([]byte(`"`+raw+`"`), &plain) != nil {
		return unescape(raw), true // nginx and Apache write \xHH, which JSON does not know
	}
	return plain, true
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
