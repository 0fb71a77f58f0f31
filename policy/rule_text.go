package policy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// placeMark stands between a rule's text and where it was written.
const placeMark = " # "

// SplitRule parts the words behind a rule's verb. Levels come first, of
// `require` alone; methods are written in capitals, and what is left should be
// patterns.
func SplitRule(verb Verb, words []string) (levels, methods, patterns []string) {
	at := 0
	for verb == VerbRequire && at < len(words) && !strings.ContainsAny(words[at], "/*?") && !IsMethodWord(words[at]) {
		at++
	}
	levels, words = upTo(words, at)
	at = 0
	for at < len(words) && IsMethodWord(words[at]) {
		at++
	}
	methods, patterns = upTo(words, at)
	return levels, methods, patterns
}

// upTo parts a list; a part without a word is nil.
func upTo(words []string, at int) (before, after []string) {
	if at > 0 {
		before = words[:at:at]
	}
	if at < len(words) {
		after = words[at:]
	}
	return before, after
}

// IsMethodWord tells a method from a level or a pattern: it goes by the capitals in which methods are written.
func IsMethodWord(word string) bool {
	return word != "" && strings.Trim(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-_") == ""
}

// text writes a rule without a block as one line:
//
//	require mfa POST /cases/* # Caddyfile:12
//
// It is "" where that would not be read as the same rule.
func (r *RuleConfig) text() string {
	if len(r.Groups)+len(r.Users)+len(r.Raises) > 0 || r.Why != "" || r.MaxAge != 0 || !r.Until.IsZero() {
		return ""
	}
	var text strings.Builder
	text.WriteString(string(r.Verb))
	var room [8]string
	words := append(append(append(room[:0], r.Levels...), r.Methods...), r.Patterns...)
	for _, word := range words {
		if word == "" || word[0] == '#' || strings.ContainsFunc(word, unicode.IsSpace) {
			return ""
		}
		text.WriteByte(' ')
		text.WriteString(word)
	}
	levels, methods, patterns := SplitRule(r.Verb, words)
	if !slices.Equal(levels, r.Levels) || !slices.Equal(methods, r.Methods) || !slices.Equal(patterns, r.Patterns) {
		return ""
	}
	switch {
	case r.Verb != VerbRequire && r.Verb != VerbPublic && r.Verb != VerbDeny:
		return ""
	case r.Pos == (Position{}):
		return text.String()
	case r.Pos.Line < 1 || r.Pos.File == "" || strings.Contains(r.Pos.File, placeMark):
		return ""
	}
	text.WriteString(placeMark)
	text.WriteString(r.Pos.File)
	text.WriteByte(':')
	text.WriteString(strconv.Itoa(r.Pos.Line))
	return text.String()
}

// readText reads what text writes, and what a person writes like it.
func (r *RuleConfig) readText(text string) error {
	text, place, placed := strings.Cut(text, placeMark)
	*r = RuleConfig{}
	if placed {
		at := strings.LastIndexByte(place, ':')
		line, err := strconv.Atoi(place[at+1:])
		if at < 1 || err != nil || line < 1 {
			return fmt.Errorf("rule `%s`: expected FILE:LINE behind `#`", text)
		}
		r.Pos = Position{File: place[:at], Line: line}
	}
	words := strings.Fields(text)
	if len(words) == 0 {
		return fmt.Errorf("a rule without a word; expected one such as `require mfa /cases/*`")
	}
	r.Verb = Verb(words[0])
	r.Levels, r.Methods, r.Patterns = SplitRule(r.Verb, words[1:])
	return nil
}

// ruleObject is a rule as an object.
type ruleObject RuleConfig

// MarshalJSON writes a rule without a block as one line of text, and any other
// as an object: with many rules the text is a tenth of what Caddy would keep.
func (r RuleConfig) MarshalJSON() ([]byte, error) {
	if text := r.text(); text != "" {
		return json.Marshal(text)
	}
	return json.Marshal(ruleObject(r))
}

// UnmarshalJSON reads both.
func (r *RuleConfig) UnmarshalJSON(data []byte) error {
	if bytes.HasPrefix(data, []byte(`"`)) {
		var text string
		if err := json.Unmarshal(data, &text); err != nil {
			return err
		}
		return r.readText(text)
	}
	object := json.NewDecoder(bytes.NewReader(data))
	object.DisallowUnknownFields()
	return object.Decode((*ruleObject)(r))
}
