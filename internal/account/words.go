package account

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// maxWordBytes is how much of a word is found by.
	maxWordBytes = 64
	// MaxTerms is how many words of a query are looked for.
	MaxTerms = 3
)

// Words are what an account is found by as somebody types: the words of its
// username, name and e-mail address, folded, each with all that follows it up
// to the next blank. So "jo", "smith", "smith@ex" and "example.org" find
// jo.smith@example.org. Sorted, without repetition.
func (a Account) Words() []string {
	var words []string
	for _, text := range []string{a.Username, a.Name, a.Email} {
		for token := range strings.FieldsSeq(FoldUsername(text)) {
			before := ' '
			for i, r := range token {
				if begins(before, r) {
					words = append(words, cutWord(token[i:]))
				}
				before = r
			}
		}
	}
	slices.Sort(words)
	return slices.Compact(words)
}

// begins tells whether a word begins with a letter or digit that follows
// another character.
func begins(before, r rune) bool {
	switch {
	case unicode.IsLetter(r):
		return !unicode.IsLetter(before) && !unicode.IsMark(before)
	case unicode.IsNumber(r):
		return !unicode.IsNumber(before)
	default:
		return false
	}
}

// cutWord cuts between two characters.
func cutWord(word string) string {
	if len(word) <= maxWordBytes {
		return word
	}
	end := maxWordBytes
	for !utf8.RuneStart(word[end]) {
		end--
	}
	return word[:end]
}

// Terms are the words of a query, as beginnings of those that Words gives, the
// longest first: the more letters, the fewer accounts. Nil finds nobody; more
// than MaxTerms are left out.
func Terms(query string) []string {
	var terms []string
	for token := range strings.FieldsSeq(FoldUsername(query)) {
		if i := strings.IndexFunc(token, func(r rune) bool { return begins(' ', r) }); i >= 0 {
			terms = append(terms, cutWord(token[i:]))
		}
	}
	slices.SortStableFunc(terms, func(a, b string) int { return len(b) - len(a) })
	return terms[:min(len(terms), MaxTerms)]
}
