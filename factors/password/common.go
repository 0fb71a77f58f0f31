package password

import (
	_ "embed"
	"strings"
	"unicode"
)

// wordList has about a thousand words that people use as passwords: names,
// places, clubs, animals, food, games, endearments, insults, the words of the
// sign-in page itself. It was written for this gateway from general
// knowledge, not taken from a leak, so it is no ranking of what attackers
// try first. With the endings and spellings below it refuses several million
// passwords. What it cannot know (other languages, whatever leaked last week)
// is for the operator's list.
//
//go:embed words.txt
var wordList string

var words = func() map[string]bool {
	set := make(map[string]bool)
	for word := range strings.FieldsSeq(wordList) {
		set[word] = true
	}
	return set
}()

// common tells whether a password is one that many people choose: a listed
// word, in any letter case and with the usual digits for letters, with
// digits and signs before or behind it, or twice; a pattern of the keyboard,
// the alphabet or the digits; a short unit repeated; a date.
func common(password string) bool {
	p := strings.ToLower(password)
	if listed(p) || patterned(p) || repeated(p) || date(p) {
		return true
	}
	return dressed(p, listed)
}

func listed(word string) bool {
	half := len(word) / 2
	return words[word] || (word[:half] == word[half:] && words[word[:half]])
}

// minContext is the length from which a part of a name counts as a word.
const minContext = 4

// personal tells whether a password is made of the username, a part of it,
// the site's name, a word of it, or the product's name.
func personal(password, username, siteName string) bool {
	context := map[string]bool{"stepgate": true}
	for _, name := range []string{username, siteName} {
		name = strings.ToLower(string(canonical([]byte(name))))
		context[squeeze(name)] = true
		for _, part := range strings.FieldsFunc(name, func(r rune) bool { return !letterOrDigit(r) }) {
			if len(part) >= minContext {
				context[part] = true
			}
		}
	}
	delete(context, "")
	p := strings.ToLower(password)
	if context[squeeze(p)] {
		return true
	}
	return dressed(p, func(word string) bool { return context[word] || context[reverse(word)] })
}

func letterOrDigit(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// squeeze leaves the letters and digits.
func squeeze(s string) string {
	return strings.Map(func(r rune) rune {
		if letterOrDigit(r) {
			return r
		}
		return -1
	}, s)
}

func reverse(s string) string {
	runes := []rune(s)
	for i, j := 0, len(runes)-1; i < j; i, j = i+1, j-1 {
		runes[i], runes[j] = runes[j], runes[i]
	}
	return string(runes)
}

// The digits and signs that people write for letters; 1 and ! for two.
var (
	spelledI = strings.NewReplacer("@", "a", "4", "a", "3", "e", "1", "i", "!", "i", "0", "o", "$", "s", "5", "s", "7", "t", "+", "t")
	spelledL = strings.NewReplacer("@", "a", "4", "a", "3", "e", "1", "l", "!", "l", "0", "o", "$", "s", "5", "s", "7", "t", "+", "t")
)

// maxDecoration bounds what is tried before and behind a word.
const maxDecoration = 12

// dressed tells whether p is a word that is known, spelt plainly or with
// signs for letters, with at most a decoration before and behind it.
func dressed(p string, known func(string) bool) bool {
	var ends []int
	for end := len(p); end >= max(0, len(p)-maxDecoration); end-- {
		if decoration(p[end:]) {
			ends = append(ends, end)
		}
	}
	for begin := 0; begin <= min(len(p), maxDecoration); begin++ {
		if !decoration(p[:begin]) {
			continue
		}
		for _, end := range ends {
			if end <= begin {
				break
			}
			word := p[begin:end]
			if known(word) || known(spelledI.Replace(word)) || known(spelledL.Replace(word)) {
				return true
			}
		}
	}
	return false
}

// decoration tells whether s is what people add to a word to please a rule:
// up to three signs, and up to four digits, a run of digits or a date.
func decoration(s string) bool {
	digits, signs := "", 0
	for _, r := range s {
		switch {
		case r >= '0' && r <= '9':
			digits += string(r)
		case r > ' ' && r < unicode.MaxASCII && !unicode.IsLetter(r):
			signs++
		default:
			return false
		}
	}
	return signs <= 3 && (len(digits) <= 4 || patterned(digits) || repeated(digits) || date(digits))
}
