package target

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxFieldBytes is how much of a query or a form body is read; the contract's
// 64 KiB. What lies behind it cannot be read.
const MaxFieldBytes = 64 << 10

// Query reads the query, by every reading of the target: also one that is one
// only for a server that decodes "%3F" in the path. It is nil where there is
// none.
func (rs *Readings) Query() *Fields {
	q := rs.RawQuery()
	if q == "" && len(rs.cut) == 0 {
		return nil
	}
	fs := new(Fields)
	fs.read(q)
	for _, q := range rs.cut {
		fs.read(q)
	}
	return fs
}

// QueryValues is Query().Values, for who asks for one name only. It costs no
// allocation where the query plainly has no such name.
func (rs *Readings) QueryValues(name string) (values []string, unreadable bool) {
	if len(rs.cut) == 0 && plainlyLacks(rs.RawQuery(), fieldKey(name)) {
		return nil, false
	}
	return rs.Query().Values(name)
}

// plainlyLacks tells whether a query is of letters and digits, "-", "_" and the
// separators alone, which nobody reads in two ways, and a fieldKey stands
// nowhere in it.
func plainlyLacks(query, key string) bool {
	if key == "" || len(query) > MaxFieldBytes {
		return false
	}
	for i := range len(query) {
		switch c := query[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '=', c == '&':
		default:
			return false
		}
		if query[i]|0x20 == key[0]|0x20 && len(query)-i >= len(key) && strings.EqualFold(query[i:i+len(key)], key) {
			return false
		}
	}
	return true
}

// spellings are the texts that a raw name or value can mean, itself first.
func spellings(raw string) []string {
	if plainText(raw) {
		return []string{raw}
	}
	all := []string{raw}
	add := func(s string) {
		if !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	for range 2 { // decodings
		for _, s := range slices.Clone(all) {
			blanks := strings.ReplaceAll(s, "+", " ")
			add(blanks)
			add(decode(s, false))
			add(decode(blanks, false))
			if percentU(s) {
				add(decode(decodePercentU(blanks), false))
			}
		}
	}
	for _, s := range slices.Clone(all) {
		if !utf8.ValidString(s) {
			add(strings.ToValidUTF8(s, ""))
			add(latin1(s))
			add(shortened(s))
		}
	}
	return all
}

// withoutControls is a text to who drops what does not show.
func withoutControls(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, s)
}

// plainText tells whether a raw name or value has one reading only.
func plainText(raw string) bool {
	return isASCII(raw) && strings.IndexByte(raw, '%') < 0 && strings.IndexByte(raw, '+') < 0
}

// fieldKey is what two names have in common that some server takes for one:
// folded, cut at a NUL, blanks and controls around it gone, other blanks and
// dots "_" as PHP has them. A "[" stays.
func fieldKey(name string) string { return nameKey(FoldText(name)) }

// nameKey is fieldKey of a name that is folded.
func nameKey(name string) string {
	name, _, _ = strings.Cut(strings.TrimFunc(name, blankOrControl), "\x00")
	name = strings.TrimRightFunc(name, blankOrControl)
	if strings.ContainsAny(name, ". ") {
		name = strings.NewReplacer(".", "_", " ", "_").Replace(name)
	}
	return name
}

// sameField tells whether a field of the name got can arrive as the field
// want, both as keys. "a[x]" and "a[]" are an "a" to PHP, Rails and qs; an
// unpaired "[" is "_" to PHP.
func sameField(want, got string) bool {
	if len(got) < len(want) || len(got) > len(want) && got[len(want)] != '[' {
		return false
	}
	for i := range len(want) {
		if w, g := want[i], got[i]; w != g && !(w == '_' && g == '[') {
			return false
		}
	}
	return true
}

func blankOrControl(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }

// brokenEscape tells whether s has a "%" that starts no escape of any kind.
func brokenEscape(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && !escapeAt(s[i:]) && !percentU(head(s[i:], 6)) {
			return true
		}
	}
	return false
}

// decodePercentU undoes the "%uXXXX" escapes that JavaScript's escape writes
// and ASP reads.
func decodePercentU(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if !percentU(head(s[i:], 6)) || s[i] != '%' {
			b.WriteByte(s[i])
			continue
		}
		var r rune
		for _, c := range []byte(s[i+2 : i+6]) {
			r = r<<4 | rune(unhex(c))
		}
		b.WriteRune(r)
		i += 5
	}
	return b.String()
}

// latin1 reads every byte as a character, as servers without UTF-8 do.
func latin1(s string) string {
	rs := make([]rune, len(s))
	for i := range len(s) {
		rs[i] = rune(s[i])
	}
	return string(rs)
}

// shortened reads two-byte forms that are longer than their character needs,
// as old decoders do, and drops other bytes that are no UTF-8.
func shortened(s string) string {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i]&^1 == 0xC0 && i+1 < len(s) && s[i+1]&0xC0 == 0x80 {
			b = append(b, s[i]<<6|s[i+1]&0x3F)
			i++
			continue
		}
		b = append(b, s[i])
	}
	return strings.ToValidUTF8(string(b), "")
}
