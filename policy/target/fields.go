package target

import (
	"slices"
	"strings"
	"unicode"
)

// What one question can gather: a stranger can make the readings of a value
// many, not many megabytes.
const (
	maxValues     = 256
	maxValueBytes = 1 << 20
)

// What one text can make us do beyond reading it once: an honest one has few
// names that are not plain, and no field of interest that is a novel.
const (
	maxOddNames  = 2048
	maxWideBytes = 8 << 10
	maxKeys      = 64      // of one name, and names with a separator in their keys
	maxKeyBytes  = 1 << 10 // of such a name
)

// Fields are the fields of a query or of a form body, by every common reading:
// fields separated by "&", also by ";" or a further "?", cut at "#"; "+" as
// itself and as a blank; escapes undone once, twice or not at all, "%uXXXX"
// too; names without regard to letter case and as PHP rewrites them ("a.b" and
// "a b" are "a_b", "a[x]" is "a"). Of "a[x]" the key "x" is a value too: apps
// that name their buttons so go by it. Nil has none.
//
// They are read once, however many names are asked for, and remember their
// answers: they belong to one goroutine. Readings.Query and Form make them.
type Fields struct {
	list []field
	// unreadable says that any field could be there.
	unreadable bool
	odd, wide  int // names that were not plain, bytes outside ASCII that were folded
	answers    map[string]answer
}

// field is one reading of one field's name.
type field struct {
	kind fieldKind
	// garbled says that the bytes of a part are not its text.
	garbled bool
	part    int    // number of the part, or of the mention, in the body
	key     string // fieldKey of the name
	name    string // as it stands there
	longer  string // the same for who knows no separator but "&"
	value   string // as kind has it
}

type fieldKind uint8

const (
	bare      fieldKind = iota // no value: it is empty
	encoded                    // up to the next "&", to be decoded
	exact                      // the text of a part
	mentioned                  // a name in a multipart body, of a part or not
)

// answer is what is known of one name.
type answer struct {
	values     []string
	unreadable bool
}

// Values gives every value that a common reading gives to name, not folded.
// unreadable says that some field could be this one and could not be read; the
// policy takes it for a match of anything.
func (fs *Fields) Values(name string) (values []string, unreadable bool) {
	if fs == nil {
		return nil, false
	}
	g := gathering{answer: answer{unreadable: fs.unreadable}}
	key := fieldKey(name)
	parts, mentions := counter{last: -1}, counter{last: -1}
	for i := range fs.list {
		f := &fs.list[i]
		if !sameField(key, f.key) {
			continue
		}
		if g.full() {
			break
		}
		if f.kind != mentioned {
			g.addKeys(f.name)
			g.addLongerKeys(f)
		}
		switch f.kind {
		case bare:
			g.add("")
		case encoded:
			g.addEncoded(f.value)
		case mentioned:
			mentions.count(f.part)
		case exact:
			parts.count(f.part)
			g.addText(f.value)
			g.unreadable = g.unreadable || f.garbled
		}
	}
	// A parser that splits the body elsewhere may find a field where this
	// one saw text.
	return g.values, g.unreadable || mentions.n > parts.n
}

// counter counts numbers that come in runs, each run once.
type counter struct{ n, last int }

func (c *counter) count(number int) {
	if number != c.last {
		c.n, c.last = c.n+1, number
	}
}

// FieldKeys are the names under which some server takes a field, or a cookie,
// whose raw name this is: folded, decoded as far as anybody does, as PHP
// rewrites them. A broken escape leaves the rest of a name readable.
func FieldKeys(raw string) []string {
	var fs Fields
	fs.name(raw, field{})
	var keys []string
	for _, f := range fs.list {
		keys = append(keys, f.key)
	}
	return keys
}

// Folded is Values, each value folded by FoldText.
func (fs *Fields) Folded(name string) (values []string, unreadable bool) {
	if fs == nil {
		return nil, false
	}
	if known, ok := fs.answers[name]; ok {
		return known.values, known.unreadable
	}
	var a answer
	raw, unreadable := fs.Values(name)
	a.unreadable = unreadable
	for _, v := range raw {
		if !fs.affords(v) {
			a.unreadable = true
			continue
		}
		if v = FoldText(v); !slices.Contains(a.values, v) {
			a.values = append(a.values, v)
		}
	}
	if fs.answers == nil {
		fs.answers = map[string]answer{}
	}
	fs.answers[name] = a
	return a.values, a.unreadable
}

// affords tells whether s may still be folded.
func (fs *Fields) affords(s string) bool {
	if isASCII(s) {
		return true
	}
	fs.wide += len(s)
	return fs.wide <= maxWideBytes
}

// read goes through an urlencoded text. A field can begin behind each of the
// separators that some server knows.
func (fs *Fields) read(q string) {
	if len(q) > MaxFieldBytes {
		q, fs.unreadable = q[:MaxFieldBytes], true
	}
	next, equals := -1, -1 // the nearest "&" and "=" at or behind i
	for start, i := 0, 0; i <= len(q); i++ {
		if i < len(q) && !separator(q[i]) {
			continue
		}
		if start < i {
			next, equals = nearest(q, '&', i, next), nearest(q, '=', i, equals)
			fs.readField(q[start:i], q[start:next], q[start:min(next, equals)])
		}
		start = i + 1
	}
}

// nearest gives where c is at or behind i, or the end; known is what it gave
// for an earlier i, or -1.
func nearest(q string, c byte, i, known int) int {
	if known >= i {
		return known
	}
	if n := strings.IndexByte(q[i:], c); n >= 0 {
		return i + n
	}
	return len(q)
}

// readField reads one field up to the nearest separator. Not every server
// ends a field at those that are no "&": whole goes on to the nearest, and
// longer to the "=" before that.
func (fs *Fields) readField(text, whole, longer string) {
	name, _, valued := strings.Cut(text, "=")
	f := field{kind: bare, longer: longer}
	if valued {
		f.longer = name
	}
	if shorter, _, cut := strings.Cut(name, "#"); cut {
		name = shorter
	} else if valued {
		f.kind, f.value = encoded, whole[len(name)+1:]
	}
	fs.name(name, f)
}

func separator(c byte) bool { return c == '&' || c == ';' || c == '?' }

// name keeps a field under every reading of its raw name.
func (fs *Fields) name(raw string, f field) {
	f.name = raw
	if plainText(raw) {
		f.key = fieldKey(raw)
		fs.list = append(fs.list, f)
		return
	}
	fs.unreadable = fs.unreadable || brokenEscape(raw)
	first := len(fs.list)
	for _, name := range fs.nameSpellings(raw) {
		if fs.affords(name) {
			f.key = fieldKey(name)
		} else {
			fs.unreadable = true
			f.key = nameKey(strings.ToLower(name))
		}
		if !slices.ContainsFunc(fs.list[first:], func(o field) bool { return o.key == f.key }) {
			fs.list = append(fs.list, f)
		}
	}
}

// nameSpellings are a raw name's, or the likeliest alone where there have been
// too many.
func (fs *Fields) nameSpellings(raw string) []string {
	if fs.odd++; fs.odd <= maxOddNames {
		all := spellings(raw)
		for _, name := range slices.Clone(all) {
			if strings.IndexFunc(name, unicode.IsControl) >= 0 {
				all = append(all, withoutControls(name))
			}
		}
		return all
	}
	fs.unreadable = true
	return []string{decode(strings.ReplaceAll(raw, "+", " "), false)}
}

// gathering is the values of one name, as they are found.
type gathering struct {
	answer
	bytes  int // of values
	longer int // names with separators
}

// addEncoded gathers every reading of a value that may end early.
func (g *gathering) addEncoded(whole string) {
	g.add(whole)
	for _, end := range []string{"?", ";", "#"} {
		if shorter, _, cut := strings.Cut(whole, end); cut {
			g.add(shorter)
		}
	}
}

// addKeys gathers what stands in brackets behind the name of a field.
func (g *gathering) addKeys(raw string) {
	if !strings.ContainsAny(raw, "[%") {
		return
	}
	for _, name := range spellings(raw) {
		_, rest, indexed := strings.Cut(name, "[")
		for n := 0; indexed; n++ {
			if n == maxKeys {
				g.unreadable = true
				break
			}
			key, behind, _ := strings.Cut(rest, "]")
			g.addText(key)
			_, rest, indexed = strings.Cut(behind, "[")
		}
	}
}

// addLongerKeys gathers the keys of a name that has separators.
func (g *gathering) addLongerKeys(f *field) {
	if len(f.longer) <= len(f.name) {
		return
	}
	if g.longer++; g.longer > maxKeys || len(f.longer) > maxKeyBytes {
		g.unreadable = true
		return
	}
	g.addKeys(f.longer)
}

// add gathers every reading of a raw value.
func (g *gathering) add(raw string) {
	if g.full() {
		return
	}
	g.unreadable = g.unreadable || brokenEscape(raw)
	for _, v := range spellings(raw) {
		g.addText(v)
	}
}

// addText gathers a text and what may be made of it: many trim it, of what
// does not show too, C programs end it at a NUL, and some drop all that does
// not show.
func (g *gathering) addText(v string) {
	g.addExact(v)
	trimmed := strings.TrimFunc(v, blankOrControl)
	g.addExact(trimmed)
	if strings.IndexFunc(v, unicode.IsControl) < 0 {
		return
	}
	for _, text := range [...]string{v, trimmed} {
		text, _, _ = strings.Cut(text, "\x00")
		g.addExact(strings.TrimFunc(text, blankOrControl))
	}
	g.addExact(withoutControls(v))
}

func (g *gathering) addExact(v string) {
	if g.full() || slices.Contains(g.values, v) {
		return
	}
	g.bytes += len(v)
	g.values = append(g.values, v)
}

// full tells whether enough was gathered. What comes then is not read.
func (g *gathering) full() bool {
	over := len(g.values) >= maxValues || g.bytes >= maxValueBytes
	g.unreadable = g.unreadable || over
	return over
}
