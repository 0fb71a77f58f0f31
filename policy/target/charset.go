package target

import (
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
)

// charset is what the application writes its paths in beside UTF-8; nil for
// UTF-8 alone. One byte is one character in it.
type charset struct{ *charmap.Charmap }

// compileCharset finds a charset by its name on the web (WHATWG Encoding §4.2).
func compileCharset(name string) (charset, error) {
	if name == "" || strings.EqualFold(name, "utf-8") {
		return charset{}, nil
	}
	found, err := htmlindex.Get(name)
	if err != nil {
		return charset{}, fmt.Errorf("charset %q: no such charset; expected one of a byte a character, such as windows-1252", name)
	}
	m, ok := found.(*charmap.Charmap)
	if !ok {
		return charset{}, fmt.Errorf("charset %q: its characters have several bytes, some of which mean something in a path; expected one of a byte a character", name)
	}
	return charset{m}, nil
}

// CheckCharset tells what is wrong with a name for Options.Charset.
func CheckCharset(name string) error {
	_, err := compileCharset(name)
	return err
}

// readings are the ways to read the escapes of a path that stand for bytes
// outside ASCII, as a path whose escapes are UTF-8: as the server does that
// tries UTF-8 first, and as the one that knows its own charset only. A path
// without a charset, or with nothing to read, is returned as it is.
func (c charset) readings(path string) []string {
	if c.Charmap == nil || isASCII(decode(path, false)) {
		return []string{path}
	}
	own := c.transcode(path, func(string) bool { return false })
	mixed := c.transcode(path, utf8.ValidString)
	if mixed == own {
		return []string{own}
	}
	return []string{mixed, own}
}

// text is what raw says in the charset, a character a byte.
func (c charset) text(raw string) string {
	text := make([]rune, len(raw))
	for i := range len(raw) {
		text[i] = c.DecodeByte(raw[i])
	}
	return string(text)
}

// transcode writes runs of escapes outside ASCII in UTF-8, but for those that
// keep wants and those which no honest text has: bytes of overlong forms, and
// bytes that are no characters.
func (c charset) transcode(path string, keep func(string) bool) string {
	var b strings.Builder
	for i := 0; i < len(path); {
		run := i
		for escapeAt(path[run:]) && unhex(path[run+1]) >= 8 {
			run += len("%XX")
		}
		if run == i {
			b.WriteByte(path[i])
			i++
			continue
		}
		raw := decode(path[i:run], false)
		if keep(raw) || overlong(raw) {
			b.WriteString(path[i:run])
		} else {
			for n, c := range []rune(c.text(raw)) {
				if c == utf8.RuneError {
					b.WriteString(path[i+3*n : i+3*n+3])
				} else {
					b.WriteString(url.PathEscape(string(c)))
				}
			}
		}
		i = run
	}
	return b.String()
}
