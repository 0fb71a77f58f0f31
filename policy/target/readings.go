package target

import (
	"fmt"
	"iter"
	"strings"
)

// Readings are all the ways to read one target. The zero value has none; only
// Read makes others. It is a small value that never changes.
type Readings struct {
	raw   string
	end   int // of the path in raw
	plain string
	more  []reading // reading i+1 at i
	cut   []string  // queries behind a decoded "?"
	// scripts is nil where there is but one reading: then no script has
	// anything behind it.
	scripts *scripts
}

// Len is the number of readings, 1 to MaxReadings, and 0 for the zero value.
func (rs *Readings) Len() int {
	if rs.raw == "" {
		return 0
	}
	return 1 + len(rs.more)
}

// Path is reading i, folded, beginning with "/". Reading 0 is the path as
// sent. An encoded slash that is part of a segment is "%2f".
func (rs *Readings) Path(i int) string {
	if i == 0 {
		return rs.plain
	}
	return rs.more[i-1].path
}

// Scripts gives the scripts in reading i that something follows: "/admin.php"
// of "/admin.php/x", outermost first. The server runs that script, so a
// pattern for exactly that path has a say in what is below it too.
func (rs *Readings) Scripts(i int) iter.Seq[string] {
	return func(yield func(string) bool) {
		if rs.scripts == nil {
			return
		}
		path := rs.Path(i)
		for end := rs.scripts.next(path, 1); end >= 0; end = rs.scripts.next(path, end+1) {
			if !yield(path[:end]) {
				return
			}
		}
	}
}

// RawPath is the path as sent, up to the first "?".
func (rs *Readings) RawPath() string { return rs.raw[:rs.end] }

// RawQuery is the query as sent, behind the first "?"; empty where there is
// none.
func (rs *Readings) RawQuery() string {
	if rs.end == len(rs.raw) {
		return ""
	}
	return rs.raw[rs.end+1:]
}

// Target is path and query as sent, without the "?" of an empty query.
func (rs *Readings) Target() string {
	if q := rs.RawQuery(); q != "" {
		return rs.RawPath() + "?" + q
	}
	return rs.RawPath()
}

// How says in kebab words which steps led to reading i, in their order:
// "as-sent", "decoded-twice, cut-parameters". It is built when asked for.
func (rs *Readings) How(i int) string {
	var steps []step
	for ; i > 0; i = int(rs.more[i-1].from) {
		steps = append(steps, rs.more[i-1].by)
	}
	if len(steps) == 0 {
		return stepWords[asSent]
	}
	var words []string
	for len(steps) > 0 {
		last := steps[len(steps)-1]
		n := 0
		for len(steps) > 0 && steps[len(steps)-1] == last {
			steps = steps[:len(steps)-1]
			n++
		}
		words = append(words, times(last, n))
	}
	return strings.Join(words, ", ")
}

// times counts decodings only: how many segments were cut or trimmed shows in
// the path.
func times(s step, n int) string {
	word := stepWords[s]
	if n == 1 || s != decoded && s != decodedKeepingSlashes {
		return word
	}
	if n == 2 {
		return word + "-twice"
	}
	return fmt.Sprintf("%s-%d-times", word, n)
}

// AnyBelow tells whether some reading is prefix or below it. The prefix is a
// path such as "/.stepgate", without a slash at its end; letter case and
// spelling of either side do not matter.
func (rs *Readings) AnyBelow(prefix string) bool {
	prefix = FoldSegment(prefix)
	for i := range rs.Len() {
		if below(rs.Path(i), prefix) {
			return true
		}
	}
	return false
}

// PlainlyBelow tells whether the bytes as sent are prefix or below it and
// there is no second way to read them. What is below by AnyBelow and not
// plainly gets 400.
func (rs *Readings) PlainlyBelow(prefix string) bool {
	return rs.Len() == 1 && below(rs.RawPath(), prefix)
}

func below(path, prefix string) bool {
	rest, ok := strings.CutPrefix(path, prefix)
	return ok && (rest == "" || rest[0] == '/')
}
