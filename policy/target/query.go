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

// What one question can gather: a stranger can make the readings of a value
// many, not many megabytes.
const (
	maxValues     = 256
	maxValueBytes = 1 << 20
)

// QueryValues gives every value that a common reading of the query gives to
// name: fields separated by "&", also by ";" or a further "?", cut at "#"; "+"
// as itself and as a blank; escapes undone once, twice or not at all,
// "%uXXXX" too; names without regard to letter case and as PHP rewrites them
// ("a.b" and "a b" are "a_b", "a[x]" is "a"). Of "a[x]" the key "x" is a value
// too: apps that name their buttons so go by it. A query that is one only for
// a server that decodes "%3F" in the path counts.
//
// Values are not folded: compare FoldText of both sides. unreadable says that
// some field could be this one and could not be read; the policy takes it for
// a match of anything.
func (rs *Readings) QueryValues(name string) (values []string, unreadable bool) {
	q := rs.RawQuery()
	if q == "" && len(rs.cut) == 0 {
		return nil, false
	}
	f := fields{key: fieldKey(name)}
	f.read(q)
	for _, q := range rs.cut {
		f.read(q)
	}
	return f.values, f.unreadable
}

// fields gathers the values of one field.
type fields struct {
	key        string // fieldKey of its name
	values     []string
	bytes      int // of values
	unreadable bool
}

// read goes through an urlencoded text. A field can begin behind each of the
// separators that some server knows.
func (f *fields) read(q string) {
	if len(q) > MaxFieldBytes {
		q, f.unreadable = q[:MaxFieldBytes], true
	}
	for start, i := 0, 0; i <= len(q); i++ {
		if i < len(q) && !separator(q[i]) {
			continue
		}
		if start < i {
			f.field(q[start:i], q[i:])
		}
		start = i + 1
	}
}

// field reads one field up to the nearest separator; rest begins with that
// separator, at which not every server ends the value.
func (f *fields) field(text, rest string) {
	name, value, valued := strings.Cut(text, "=")
	if bare, _, cut := strings.Cut(name, "#"); cut {
		name, valued = bare, false
	}
	if !f.named(name) {
		return
	}
	f.addKeys(name)
	longer, _, _ := strings.Cut(text+rest, "&")
	longer, _, _ = strings.Cut(longer, "=")
	f.addKeys(longer)
	switch {
	case !valued:
		f.add("")
	default:
		rest, _, _ = strings.Cut(rest, "&")
		whole := value + rest
		f.add(whole)
		for _, end := range []string{"?", ";", "#"} {
			if shorter, _, cut := strings.Cut(whole, end); cut {
				f.add(shorter)
			}
		}
	}
}

func separator(c byte) bool { return c == '&' || c == ';' || c == '?' }

// named tells whether some reading of a raw name is the field's.
func (f *fields) named(raw string) bool {
	if isASCII(raw) && !strings.ContainsAny(raw, "%+") {
		return sameField(f.key, fieldKey(raw))
	}
	f.unreadable = f.unreadable || brokenEscape(raw)
	for _, name := range spellings(raw) {
		if sameField(f.key, fieldKey(name)) {
			return true
		}
	}
	return false
}

// addKeys gathers what stands in brackets behind the name of a field.
func (f *fields) addKeys(raw string) {
	if !strings.ContainsAny(raw, "[%") {
		return
	}
	for _, name := range spellings(raw) {
		_, rest, indexed := strings.Cut(name, "[")
		for indexed {
			key, behind, _ := strings.Cut(rest, "]")
			f.addExact(key)
			f.addExact(strings.TrimFunc(key, blankOrControl))
			_, rest, indexed = strings.Cut(behind, "[")
		}
	}
}

// add gathers every reading of a raw value.
func (f *fields) add(raw string) {
	if f.full() {
		return
	}
	f.unreadable = f.unreadable || brokenEscape(raw)
	for _, v := range spellings(raw) {
		f.addExact(v)
		// C programs end it at a NUL, and many trim it.
		v, _, _ = strings.Cut(v, "\x00")
		f.addExact(strings.TrimFunc(v, blankOrControl))
	}
}

func (f *fields) addExact(v string) {
	if slices.Contains(f.values, v) || f.full() {
		return
	}
	f.bytes += len(v)
	f.values = append(f.values, v)
}

// full tells whether enough was gathered. What comes then is not read.
func (f *fields) full() bool {
	over := len(f.values) >= maxValues || f.bytes >= maxValueBytes
	f.unreadable = f.unreadable || over
	return over
}

// spellings are the texts that a raw name or value can mean, itself first.
func spellings(raw string) []string {
	if isASCII(raw) && !strings.ContainsAny(raw, "%+") {
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

// fieldKey is what two names have in common that some server takes for one:
// folded, cut at a NUL, blanks around it gone, other blanks and dots "_" as
// PHP has them. A "[" stays.
func fieldKey(name string) string {
	name, _, _ = strings.Cut(name, "\x00")
	name = strings.TrimFunc(FoldText(name), blankOrControl)
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
