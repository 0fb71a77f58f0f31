package target

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// checkEscapes refuses a raw path with a "%" that starts no escape.
func checkEscapes(path string) error {
	for i := 0; i < len(path); i++ {
		if path[i] != '%' {
			continue
		}
		if !escapeAt(path[i:]) {
			if percentU(path[i:]) {
				return malformed(ReasonPercentU)
			}
			return malformed(ReasonBrokenPercent)
		}
		i += 2
	}
	return nil
}

// checkDepth decodes the whole path again and again. It refuses bytes that no
// depth may show and a path that does not settle in MaxDecodings.
func checkDepth(path string) error {
	for n := 0; ; n++ {
		next := decode(path, false)
		if err := checkDecoded(next); err != nil {
			return err
		}
		if next = foldPath(next); next == strings.ToLower(path) {
			return nil
		}
		if len(next) > maxOddBytes {
			return malformed(ReasonTooLong)
		}
		if n == MaxDecodings {
			return malformed(ReasonTooManyDecodings)
		}
		path = next
	}
}

// checkDecoded refuses bytes that no depth of decoding may show. It runs
// before folding, which needs valid text.
func checkDecoded(s string) error {
	if !utf8.ValidString(s) {
		if overlong(s) {
			return malformed(ReasonOverlongUTF8)
		}
		return malformed(ReasonInvalidUTF8)
	}
	for _, r := range s {
		if r == '\\' {
			return malformed(ReasonBackslash)
		}
		if unicode.IsControl(r) {
			return malformed(ReasonControlByte)
		}
	}
	return nil
}

// overlong tells whether s has a lead byte that only starts forms longer than
// their character needs (RFC 3629 §3).
func overlong(s string) bool {
	for i := range len(s) {
		switch {
		case s[i] == 0xC0 || s[i] == 0xC1:
			return true
		case i+1 == len(s):
		case s[i] == 0xE0 && s[i+1] >= 0x80 && s[i+1] < 0xA0, s[i] == 0xF0 && s[i+1] >= 0x80 && s[i+1] < 0x90:
			return true
		}
	}
	return false
}

// checkReading refuses a folded path in which a server could find a segment
// that leads upwards. Where dotted is set, two dots at a segment's end are the
// rest of more.
func checkReading(path string, dotted bool) error {
	if percentU(path) {
		return malformed(ReasonPercentU)
	}
	if strings.IndexByte(path, '\\') >= 0 { // from a compatibility form
		return malformed(ReasonBackslash)
	}
	for rest := path[1:]; ; {
		seg, after, more := strings.Cut(rest, "/")
		if dotSegment(seg) {
			return malformed(ReasonDotSegment)
		}
		if !dotted && strings.HasSuffix(seg, "..") && !strings.HasSuffix(seg, "...") {
			return malformed(ReasonTwoDots)
		}
		if !more {
			return nil
		}
		rest = after
	}
}

// dotSegment tells whether nothing but dots and what trimming takes away is
// in the segment. What parameters or a stream hide shows in the reading that
// cuts them. A single ellipsis is a title: to no server it is more than three
// dots or one, and none of these leads upwards.
func dotSegment(seg string) bool {
	return seg != "…" && strings.ContainsFunc(seg, dotlike) && strings.TrimRightFunc(seg, trimmable) == ""
}
