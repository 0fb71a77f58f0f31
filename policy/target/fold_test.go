package target

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"
)

func TestFoldTextBringsSpellingsTogether(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"", ""},
		{"admin", "admin"},
		{"ADMIN", "admin"},
		{"ＡＤＭＩＮ", "admin"},
		{"ad\u00admin", "admin"},
		{"ad\u200bmin\ufe0f", "admin"},
		{"ſecret", "secret"},
		{"\u212Aey", "key"},
		{"admın", "admin"},
		{"ADMİN", "admin"},
		{"Straße", "strasse"},
		{"CAFE\u0301", "café"},
		{"ﬁle", "file"},
		{"a\u00a0b", "a b"},
		{"a／b", "a/b"},
	} {
		if got := FoldText(tt.in); got != tt.want {
			t.Errorf("FoldText(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestFoldSegmentUndoesNecessaryEscapesOnly(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"Caf%C3%A9", "café"},
		{"a%20b", "a b"},
		{"100%25", "100%"},
		{"%2541", "%2541"},
		{"a%2Fb", "a%2fb"},
		{"%61", "%61"},
		{"a／b", "a／b"},
		{"wait…", "wait…"},
		{"wait…+", "wait…+"},
		{"x….php", "x....php"},
	} {
		if got := FoldSegment(tt.in); got != tt.want {
			t.Errorf("FoldSegment(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

// A server may compare in capitals or in small letters; neither finds a path
// that folding does not.
func TestFoldTextOutdoesUpperAndLowerCase(t *testing.T) {
	if testing.Short() {
		t.Skip("folds every character")
	}
	for r := rune(0); r <= utf8.MaxRune; r++ {
		want := FoldText(string(r))
		for _, cased := range []rune{unicode.ToUpper(r), unicode.ToLower(r), unicode.ToTitle(r), unicode.SimpleFold(r)} {
			if got := FoldText(string(cased)); got != want {
				t.Errorf("FoldText(%U) = %q, of %U %q", cased, got, r, want)
			}
		}
	}
}

func TestFoldingSettles(t *testing.T) {
	if testing.Short() {
		t.Skip("folds every character")
	}
	for r := rune(0); r <= utf8.MaxRune; r++ {
		if !utf8.ValidRune(r) {
			continue
		}
		s := string(r)
		if once := FoldText(s); FoldText(once) != once {
			t.Errorf("FoldText(%U) = %q, and then %q", r, once, FoldText(once))
		}
		if once := foldPath(s); foldPath(once) != once {
			t.Errorf("foldPath(%U) = %q, and then %q", r, once, foldPath(once))
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "s")
		if once := foldPath(s); foldPath(once) != once {
			t.Fatalf("foldPath(%q) = %q, and then %q", s, once, foldPath(once))
		}
	})
}

// No character may turn into one with a meaning in a path by folding alone.
func TestWideIsComplete(t *testing.T) {
	const meaning = "/%?#;:"
	for r := rune(utf8.RuneSelf); r <= utf8.MaxRune; r++ {
		if !utf8.ValidRune(r) {
			continue
		}
		form := norm.NFKC.String(string(r))
		got, want := foldPath(string(r)), strings.ToLower(form)
		if strings.ContainsAny(got, meaning) {
			t.Errorf("foldPath(%U) = %q", r, got)
		}
		if strings.ContainsAny(form, meaning) && narrow.Replace(got) != want {
			t.Errorf("foldPath(%U), narrowed = %q, want %q", r, narrow.Replace(got), want)
		}
	}
}
