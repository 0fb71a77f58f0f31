package target

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
	"golang.org/x/text/unicode/rangetable"
)

// FoldSegment folds a segment of a pattern, a literal piece of one or a whole
// path as readings are folded: FoldText, after undoing the escapes that can
// only stand for themselves. So an author may write "café" or "caf%C3%A9".
func FoldSegment(s string) string { return foldPath(decodeHonest(s)) }

// FoldText folds letter case and Unicode compatibility forms and drops
// characters that no one sees (NFKC_Casefold of Unicode §5.18 and UAX #44).
// Beyond that two characters with one capital are one, as upper-casing servers
// have it: a dotless i is an i. It is what names and values of queries and
// forms are compared by. An ASCII text without capitals is returned as it is.
func FoldText(s string) string {
	if isASCII(s) {
		return strings.ToLower(s)
	}
	// Folding and composing can each uncover work for the other; it settles
	// after two rounds, and the bound is for what no one has thought of.
	for range 4 {
		t := foldOnce(s)
		if t == s {
			break
		}
		s = t
	}
	return s
}

func foldOnce(s string) string {
	s = cases.Fold().String(norm.NFKC.String(s))
	s = strings.Map(func(r rune) rune {
		if ignorable(r) {
			return -1
		}
		return unicode.ToLower(unicode.ToUpper(r))
	}, s)
	return norm.NFKC.String(strings.ReplaceAll(s, "i\u0307", "i"))
}

// ignorable is Default_Ignorable_Code_Point as UAX #44 derives it.
func ignorable(r rune) bool {
	if r < 0xAD || !unicode.Is(mayBeIgnorable, r) {
		return false
	}
	return !unicode.In(r, unicode.White_Space, unicode.Prepended_Concatenation_Mark) &&
		(r < 0xFFF9 || r > 0xFFFB) && (r < 0x13430 || r > 0x13440)
}

var mayBeIgnorable = rangetable.Merge(unicode.Cf, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point)

// wide are the characters whose compatibility form has a meaning in a path,
// with that meaning written in full-width characters. TestWideIsComplete
// knows all of Unicode's.
var wide = map[rune]string{
	'／': "／", '℀': "a／c", '℁': "a／s", '℅': "c／o", '℆': "c／u",
	'％': "％", '﹪': "％",
	'？': "？", '﹖': "？", '︖': "？", '⁇': "？？", '⁈': "？!", '⁉': "!？",
	'＃': "＃", '﹟': "＃",
	'；': "；", '﹔': "；", '︔': "；", '\u037E': "；",
	'：': "：", '﹕': "：", '︓': "：", '⩴': "：：=",
}

// narrowPath gives wide characters their meaning and drops the unseen: the
// reading of a server that does so itself.
func narrowPath(path string) string {
	return strings.Map(func(r rune) rune {
		if ignorable(r) {
			return -1
		}
		return r
	}, narrow.Replace(path))
}

var narrow = strings.NewReplacer("／", "/", "％", "%", "？", "?", "＃", "#", "；", ";", "：", ":")

// foldPath is FoldText for a path or a part of one, but for what would move
// the bounds of segments. Characters that would turn into ones with a meaning
// stay wide, and unseen ones that stand alone stay: only some servers fold
// these, so that is a reading of its own (narrowPath). An ellipsis at a
// segment's end stays one character: honest titles end so, and taken apart it
// would be refused for its dots.
func foldPath(s string) string {
	if isASCII(s) {
		return strings.ToLower(s)
	}
	var b strings.Builder
	done := 0         // s[:done] is in b
	last := rune('/') // the last character that is seen
	escapes := false  // a "%" came before
	tail, end := 0, 0 // where the segment's trimmable end begins and ends
	for i, r := range s {
		instead, special := wide[r]
		unseen := ignorable(r)
		switch {
		case special:
		case unseen && (escapes || bound(last)):
			instead = string(r)
		case r == '…' || r == '‥':
			if i >= end {
				tail, end = segmentTail(s, i)
			}
			instead = ellipsis(r, i >= tail)
		default:
			if !unseen {
				last, escapes = r, escapes || r == '%'
			}
			continue
		}
		if !unseen {
			last = r
		}
		b.WriteString(FoldText(s[done:i]))
		b.WriteString(instead)
		done = i + utf8.RuneLen(r)
	}
	b.WriteString(FoldText(s[done:]))
	return b.String()
}

// bound tells whether an unseen character after this one belongs to nothing
// seen: dropped, it could leave a segment empty or bring dots together.
func bound(r rune) bool {
	if strings.ContainsRune("/?#;:)", r) || wide[r] != "" {
		return true
	}
	last, _ := utf8.DecodeLastRuneInString(FoldText(string(r)))
	return trimmable(last)
}

// segmentTail gives where the trimmable characters begin at the end of the
// segment that holds s[i], and where that segment ends: also where another
// reading may end it.
func segmentTail(s string, i int) (tail, end int) {
	rest := s[i:]
	if n := strings.IndexFunc(rest, mayEnd); n >= 0 {
		rest = rest[:n]
	}
	return i + len(strings.TrimRightFunc(rest, mayBeTrimmed)), i + len(rest)
}

// mayBeTrimmed tells whether r, or what it folds to, is trimmable or unseen.
func mayBeTrimmed(r rune) bool {
	return trimmable(r) || r >= utf8.RuneSelf && strings.TrimRightFunc(FoldText(string(r)), trimmable) == ""
}

// mayEnd tells whether some reading ends a segment at r, or has something
// there that does.
func mayEnd(r rune) bool { return strings.ContainsRune("/%;:?#", r) || wide[r] != "" }

func ellipsis(r rune, whole bool) string {
	switch {
	case whole:
		return string(r)
	case r == '…':
		return "..."
	default:
		return ".."
	}
}

// trimmable are the characters that some server takes off a segment's end.
func trimmable(r rune) bool {
	return dotlike(r) || r == '+' || unicode.IsSpace(r)
}

// dotlike are the dot and what folds to dots but is kept at a segment's end.
func dotlike(r rune) bool { return r == '.' || r == '…' || r == '‥' }

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
