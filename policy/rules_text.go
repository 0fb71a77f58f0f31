package policy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// RuleConfigs are the rules of a policy. In JSON they are a list whose elements
// are rules as objects, a rule as text, or several as one text: Caddy reads and
// writes what it has been given more than ten times at each start, and of a
// hundred thousand rules each time costs by the element.
type RuleConfigs []RuleConfig

// manyRules is from how many rules on several are written as one text. Fewer are
// easier to read one by one.
const manyRules = 1000

// jointMark stands between the rules of a text. What follows another rule is one
// line below it, unless it says its line or all of its place:
//
//	require mfa /cases/* # Caddyfile:12 ; public /help/* ; deny /old/* #20
const jointMark = " ; "

// lineMark stands before the line of a rule in the file of the one before.
const lineMark = " #"

// MarshalJSON implements json.Marshaler.
func (l RuleConfigs) MarshalJSON() ([]byte, error) {
	if len(l) < manyRules {
		return json.Marshal([]RuleConfig(l))
	}
	var elements []any // texts and rules
	text := make([]byte, 0, l.room())
	end := func() {
		if len(text) > 0 {
			elements = append(elements, string(text))
			text = text[:0]
		}
	}
	for i := range l {
		r, before := &l[i], len(text)
		if before > 0 && (r.Pos == (Position{})) == (l[i-1].Pos == (Position{})) {
			text = append(text, jointMark...)
		} else {
			end()
			before = 0
		}
		longer, ok := r.appendWords(text)
		if ok {
			longer, ok = appendPlace(longer, r.Pos, l[max(i-1, 0)].Pos, before == 0)
		}
		if ok {
			text = longer
			continue
		}
		text = text[:before]
		end()
		elements = append(elements, ruleObject(*r))
	}
	end()
	return json.Marshal(elements)
}

// room is about how long the text of all is, without their places.
func (l RuleConfigs) room() int {
	n := 0
	for i := range l {
		n += len(l[i].Verb) + len(jointMark)
		for _, words := range [...][]string{l[i].Levels, l[i].Methods, l[i].Patterns} {
			for _, word := range words {
				n += len(word) + 1
			}
		}
	}
	return n
}

// appendPlace says where a rule was written, as far as the place of the one before
// it in the text does not say so. It tells whether that would be read again.
func appendPlace(text []byte, pos, before Position, first bool) ([]byte, bool) {
	switch {
	case pos == (Position{}):
		return text, true
	case pos.Line < 1 || pos.File == "" || strings.Contains(pos.File, placeMark) || strings.Contains(pos.File, jointMark):
		return nil, false
	case first || pos.File != before.File:
		text = append(append(append(text, placeMark...), pos.File...), ':')
	case pos.Line == before.Line+1:
		return text, true
	default:
		text = append(text, lineMark...)
	}
	return strconv.AppendInt(text, int64(pos.Line), 10), true
}

// UnmarshalJSON implements json.Unmarshaler.
func (l *RuleConfigs) UnmarshalJSON(data []byte) error {
	var elements []json.RawMessage
	if err := json.Unmarshal(data, &elements); err != nil {
		return err
	}
	*l = make(RuleConfigs, 0, max(len(elements), bytes.Count(data, []byte(jointMark))+1))
	if elements == nil {
		*l = nil
	}
	for _, element := range elements {
		if !bytes.HasPrefix(element, []byte(`"`)) {
			var r RuleConfig
			if err := r.UnmarshalJSON(element); err != nil {
				return err
			}
			*l = append(*l, r)
			continue
		}
		var text string
		if err := json.Unmarshal(element, &text); err != nil {
			return err
		}
		if err := l.addText(text); err != nil {
			return err
		}
	}
	return nil
}

// addText adds the rules of a text. The words of all are in one array.
func (l *RuleConfigs) addText(text string) error {
	words := make([]string, 0, strings.Count(text, " ")+1)
	var pos Position // of the rule before
	for first := true; ; first = false {
		one, after, more := strings.Cut(text, jointMark)
		one, place, placed := strings.Cut(one, placeMark)
		switch {
		case placed:
			var err error
			if pos, err = readPlace(one, place); err != nil {
				return err
			}
		case !first && pos.Line > 0:
			pos.Line++
			if at := strings.LastIndexByte(one, ' '); at >= 0 && strings.HasPrefix(one[at:], lineMark) {
				line, err := strconv.Atoi(one[at+len(lineMark):])
				if err != nil || line < 1 {
					return fmt.Errorf("rule `%s`: expected a line behind `#`", one)
				}
				one, pos.Line = one[:at], line
			}
		}
		from := len(words)
		for word := range strings.FieldsSeq(one) {
			words = append(words, word)
		}
		var r RuleConfig
		if err := r.take(words[from:len(words):len(words)]); err != nil {
			return err
		}
		r.Pos = pos
		*l = append(*l, r)
		if !more {
			return nil
		}
		text = after
	}
}
