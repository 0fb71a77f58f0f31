package account

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestAnAccountIsFoundByTheBeginningOfAnyWord(t *testing.T) {
	a := Account{Username: "Jo.Smith42", Name: "Joanna O'Neill-Smythe", Email: "jo_smith@Mail.Example.org"}
	for query, want := range map[string]bool{
		"j": true, "JO.SMI": true, "smith": true, "42": true, "neill": true, "o'ne": true, "smythe": true, "smith@mail": true,
		"example.org": true, "ｊｏ": true, "joanna smyth": true, "smyth joa": true,
		"oanna": false, "mith": false, "joanna bloggs": false, "": false, "_": false, "%": false, "jo%": false,
	} {
		terms := Terms(query)
		found := len(terms) > 0
		for _, term := range terms {
			found = found && slices.ContainsFunc(a.Words(), func(w string) bool { return strings.HasPrefix(w, term) })
		}
		if found != want {
			t.Errorf("%q: found %t, want %t", query, found, want)
		}
	}
	if !slices.IsSorted(a.Words()) || len(slices.Compact(a.Words())) != len(a.Words()) {
		t.Errorf("words are not each there once, in order: %q", a.Words())
	}
}

func TestLongWordsAreCutAlike(t *testing.T) {
	a := Account{Name: strings.Repeat("ä", 100)}
	if w := a.Words()[0]; len(w) > maxWordBytes || !utf8.ValidString(w) || w != Terms(a.Name)[0] {
		t.Errorf("cut to %q", w)
	}
	if n := len(Terms("a b c d e f g")); n != MaxTerms {
		t.Errorf("%d terms", n)
	}
}
