package policy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// placeMark stands between a rule's text and where it was written.
const placeMark = " # "

// SplitRule parts the words behind a rule's verb. Levels come first, of
// `require` alone; methods are written in capitals, and what is left should be
// patterns.
func SplitRule(verb Verb, words []string) (levels, methods, patterns []string) {
	first, second := splitRule(verb, words)
	levels, words = upTo(words, first)
	methods, patterns = upTo(words, second)
	return levels, methods, patterns
}

// splitRule counts the levels of a rule and the methods behind them.
func splitRule(verb Verb, words []string) (levels, methods int) {
	for verb == VerbRequire && levels < len(words) && !strings.ContainsAny(words[levels], "/*?") && !IsMethodWord(words[levels]) {
		levels++
	}
	for levels+methods < len(words) && IsMethodWord(words[levels+methods]) {
		methods++
	}
	return levels, methods
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
	for i := 0; i < len(word); i++ {
		if c := word[i]; (c < 'A' || c > 'Z') && c != '-' && c != '_' {
			return false
		}
	}
	return word != ""
}

// text writes a rule without a block as one line:
//
//	require mfa POST /cases/* # Caddyfile:12
//
// It is "" where that would not be read as the same rule.
func (r *RuleConfig) text() string {
	text, ok := r.appendWords(nil)
	if ok {
		text, ok = appendPlace(text, r.Pos, Position{}, true)
	}
	if !ok {
		return ""
	}
	return string(text)
}

// appendWords adds the verb of a rule and the words behind it to a text. It tells
// whether they are all that the rule says, and would be read as the same.
func (r *RuleConfig) appendWords(text []byte) (_ []byte, same bool) {
	switch {
	case len(r.Groups)+len(r.Users)+len(r.Raises) > 0 || r.Why != "" || r.MaxAge != 0 || !r.Until.IsZero():
		return nil, false
	case r.Verb != VerbRequire && r.Verb != VerbPublic && r.Verb != VerbDeny:
		return nil, false
	}
	text = append(text, r.Verb...)
	var room [8]string
	words := append(append(append(room[:0], r.Levels...), r.Methods...), r.Patterns...)
	for _, word := range words {
		if word == "" || word[0] == '#' || word == ";" || hasSpace(word) {
			return nil, false
		}
		text = append(append(text, ' '), word...)
	}
	levels, methods := splitRule(r.Verb, words)
	return text, levels == len(r.Levels) && methods == len(r.Methods)
}

func hasSpace(word string) bool {
	for i := 0; i < len(word); i++ {
		if word[i] <= ' ' || word[i] >= utf8.RuneSelf {
			return strings.ContainsFunc(word, unicode.IsSpace)
		}
	}
	return false
}

// readText reads what text writes, and what a person writes like it.
func (r *RuleConfig) readText(text string) error {
	text, place, placed := strings.Cut(text, placeMark)
	var pos Position
	if placed {
		var err error
		if pos, err = readPlace(text, place); err != nil {
			return err
		}
	}
	if err := r.take(strings.Fields(text)); err != nil {
		return err
	}
	r.Pos = pos
	return nil
}

// readPlace reads FILE:LINE, which stands behind a rule.
func readPlace(rule, place string) (Position, error) {
	at := strings.LastIndexByte(place, ':')
	line, err := strconv.Atoi(place[at+1:])
	if at < 1 || err != nil || line < 1 {
		return Position{}, fmt.Errorf("rule `%s`: expected FILE:LINE behind `#`", rule)
	}
	return Position{File: place[:at], Line: line}, nil
}

// take makes a rule of its words, which it keeps.
func (r *RuleConfig) take(words []string) error {
	if len(words) == 0 {
		return fmt.Errorf("a rule without a word; expected one such as `require mfa /cases/*`")
	}
	*r = RuleConfig{Verb: Verb(words[0])}
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
