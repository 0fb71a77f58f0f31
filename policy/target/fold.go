package target

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// FoldSegment folds a segment of a pattern, a literal piece of one or a whole
// path as readings are folded: FoldText, after undoing the escapes that can
// only stand for themselves. So an author may write "café" or "caf%C3%A9".
func FoldSegment(s string) string { return foldPath(decodeHonest(s)) }

// FoldText folds letter case and Unicode compatibility forms and drops
// characters that no one sees (NFKC_Casefold of Unicode §5.18 and UAX #44).
// Beyond that the dotless i is an i, as upper-casing servers have it. It is
// what names and values of queries and forms are compared by. An ASCII text
// without capitals is returned as it is.
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
		switch {
		case r == 'ı':
			return 'i'
		case ignorable(r):
			return -1
		default:
			return r
		}
	}, s)
	return norm.NFKC.String(strings.ReplaceAll(s, "i\u0307", "i"))
}

// ignorable is Default_Ignorable_Code_Point as UAX #44 derives it.
func ignorable(r rune) bool {
	if r < 0xAD {
		return false
	}
	if unicode.In(r, unicode.White_Space, unicode.Prepended_Concatenation_Mark) ||
		r >= 0xFFF9 && r <= 0xFFFB || r >= 0x13430 && r <= 0x13440 {
		return false
	}
	return unicode.In(r, unicode.Cf, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point)
}

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

// narrow gives wide characters their meaning: the reading of a server that
// folds them itself.
var narrow = strings.NewReplacer("／", "/", "％", "%", "？", "?", "＃", "#", "；", ";", "：", ":")

// foldPath is FoldText for a path or a part of one. Two things differ.
// Characters that would turn into ones with a meaning stay wide: only some
// servers fold them, so that is a reading of its own. And an ellipsis at a
// segment's end stays one character: honest titles end so, and taken apart it
// would be refused for its dots.
func foldPath(s string) string {
	if isASCII(s) {
		return strings.ToLower(s)
	}
	var b strings.Builder
	done := 0
	for i, r := range s {
		instead, special := wide[r]
		switch {
		case special:
		case !dotlike(r) || r == '.':
			continue
		case endsSegment(s[i+utf8.RuneLen(r):]):
			instead = string(r)
		case r == '…':
			instead = "..."
		default:
			instead = ".."
		}
		b.WriteString(FoldText(s[done:i]))
		b.WriteString(instead)
		done = i + utf8.RuneLen(r)
	}
	b.WriteString(FoldText(s[done:]))
	return b.String()
}

// endsSegment tells whether nothing but trimmable characters stands before
// the next slash.
func endsSegment(rest string) bool {
	seg, _, _ := strings.Cut(rest, "/")
	return strings.TrimRightFunc(seg, trimmable) == ""
}

// trimmable are the characters that some server takes off a segment's end.
func trimmable(r rune) bool {
	return dotlike(r) || r == '+' || unicode.IsSpace(r)
}

func dotlike(r rune) bool { return r == '.' || r == '…' || r == '‥' }

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
