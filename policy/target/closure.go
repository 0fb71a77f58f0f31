package target

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// step is one way in which one server differs from another.
type step uint8

const (
	asSent step = iota
	decoded
	decodedKeepingSlashes
	cutParameters
	cutStream
	trimmed
	mergedSlashes
	mergedLeadingSlashes
	cutQuery
	cutFragment
	scriptPathInfo
	narrowed
	withoutSession
	inCharset
)

var stepWords = [...]string{
	asSent:                "as-sent",
	decoded:               "decoded",
	decodedKeepingSlashes: "decoded-keeping-slashes",
	cutParameters:         "cut-parameters",
	cutStream:             "cut-stream",
	trimmed:               "trimmed",
	mergedSlashes:         "merged-slashes",
	mergedLeadingSlashes:  "merged-leading-slashes",
	cutQuery:              "cut-at-question-mark",
	cutFragment:           "cut-at-hash",
	scriptPathInfo:        "script-path-info",
	narrowed:              "compatibility-folded",
	withoutSession:        "without-session",
	inCharset:             "in-the-charset",
}

// reading is a folded path, and how it came about.
type reading struct {
	path string
	from uint8 // index of the reading that the step was taken on
	by   step
	// dotted says that a segment may end in two dots, since it had more as
	// sent: a server has taken one of an honest "etc...".
	dotted bool
}

// closure collects readings until no step on any of them gives a new one.
type closure struct {
	scripts  *scripts
	readings []reading
	queries  []string // what stood behind a decoded "?", folded
	wide     int      // bytes of work on paths outside ASCII
}

// add takes a folded path as a reading, once.
func (c *closure) add(path string, from int, by step) error {
	return c.addReading(reading{path: path, from: uint8(from), by: by, dotted: len(c.readings) > 0 && c.readings[from].dotted})
}

func (c *closure) addReading(added reading) error {
	if i := slices.IndexFunc(c.readings, func(r reading) bool { return r.path == added.path }); i >= 0 {
		if c.readings[i].dotted && !added.dotted {
			return checkReading(added.path, false)
		}
		return nil
	}
	if err := checkReading(added.path, added.dotted); err != nil {
		return err
	}
	if len(added.path) > maxOddBytes {
		return malformed(ReasonTooLong)
	}
	if len(c.readings) == MaxReadings {
		return malformed(ReasonTooManyReadings)
	}
	c.readings = append(c.readings, added)
	return nil
}

// addDecoded takes a path that was just decoded.
func (c *closure) addDecoded(path string, from int, by step) error {
	if err := checkDecoded(path); err != nil {
		return err
	}
	folded := foldPath(path)
	if !isASCII(path) {
		if c.wide += len(path) + len(folded); c.wide > maxWideWork {
			return malformed(ReasonTooLong)
		}
	}
	return c.add(folded, from, by)
}

// close takes every step on every reading, the new ones as well. It ends: each
// reading is new, and there are at most MaxReadings.
func (c *closure) close() error {
	for i := 0; i < len(c.readings); i++ {
		for _, take := range []func(string, int) error{c.decodings, c.narrow, c.cuts, c.merges, c.segments, c.pathInfos} {
			if err := take(c.readings[i].path, i); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *closure) decodings(path string, from int) error {
	if strings.IndexByte(path, '%') < 0 {
		return nil
	}
	if err := c.addDecoded(decode(path, false), from, decoded); err != nil {
		return err
	}
	return c.addDecoded(decode(path, true), from, decodedKeepingSlashes)
}

func (c *closure) narrow(path string, from int) error {
	if isASCII(path) {
		return nil
	}
	return c.add(narrowPath(path), from, narrowed)
}

// cuts ends the path at a decoded "?" or "#", and keeps what a server that
// does so would take for the query.
func (c *closure) cuts(path string, from int) error {
	if before, query, ok := strings.Cut(path, "?"); ok {
		if !slices.Contains(c.queries, query) {
			c.queries = append(c.queries, query)
		}
		if err := c.add(before, from, cutQuery); err != nil {
			return err
		}
	}
	if before, _, ok := strings.Cut(path, "#"); ok {
		return c.add(before, from, cutFragment)
	}
	return nil
}

func (c *closure) merges(path string, from int) error {
	if !strings.Contains(path, "//") {
		return nil
	}
	if strings.HasPrefix(path, "//") {
		if err := c.add("/"+strings.TrimLeft(path, "/"), from, mergedLeadingSlashes); err != nil {
			return err
		}
	}
	merged := make([]byte, 0, len(path))
	for i := range len(path) {
		if path[i] != '/' || i == 0 || path[i-1] != '/' {
			merged = append(merged, path[i])
		}
	}
	return c.add(string(merged), from, mergedSlashes)
}

// segments takes the steps on single segments, one segment at a time: the
// closure brings the combinations.
func (c *closure) segments(path string, from int) error {
	for start := 1; ; {
		end := len(path)
		if i := strings.IndexByte(path[start:], '/'); i >= 0 {
			end = start + i
		}
		if err := c.segment(path, start, end, from); err != nil {
			return err
		}
		if end == len(path) {
			return nil
		}
		start = end + 1
	}
}

func (c *closure) segment(path string, start, end, from int) error {
	seg := path[start:end]
	shorten := func(n int, by step) error {
		return c.add(path[:start+n]+path[end:], from, by)
	}
	if i := strings.IndexByte(seg, ';'); i >= 0 {
		if err := shorten(i, cutParameters); err != nil {
			return err
		}
	}
	if i := strings.IndexByte(seg, ':'); i >= 0 {
		if err := shorten(i, cutStream); err != nil {
			return err
		}
	}
	if err := c.withoutSession(path, start, end, from); err != nil {
		return err
	}
	// One character at a time: a server may trim blanks and keep dots.
	if last, size := utf8.DecodeLastRuneInString(seg); seg != "" && trimmable(last) {
		return c.addReading(reading{
			path: path[:end-size] + path[end:], from: uint8(from), by: trimmed,
			dotted: c.readings[from].dotted || strings.HasSuffix(seg, "..."),
		})
	}
	return nil
}

func (c *closure) pathInfos(path string, from int) error {
	for i := c.scripts.next(path, 1); i >= 0; i = c.scripts.next(path, i+1) {
		if err := c.add(path[i:], from, scriptPathInfo); err != nil {
			return err
		}
	}
	return nil
}
