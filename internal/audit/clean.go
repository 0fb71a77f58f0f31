package audit

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Bounds of a record, in bytes of cleaned text.
const (
	maxWord        = 64  // identifiers and codes
	maxName        = 256 // names, rules, origins, user agents
	maxValue       = 512
	maxList        = 32 // levels, fields
	maxExplanation = 32 << 10
)

// Clean gives the event as it is recorded: the time in UTC milliseconds, and
// every string valid UTF-8 on one line, with nothing in it that could hide or
// reorder text, and no longer than its field allows (ASVS 16.4.1). Characters
// that are not allowed become visible escapes, so what was sent can still be
// read. Cleaning twice changes nothing more.
func (e Event) Clean() Event {
	e.At = e.At.UTC().Truncate(time.Millisecond)
	for _, s := range []*string{
		&e.Reference, &e.Account, &e.Actor, &e.Session, &e.Factor, &e.Credential, &e.Address, &e.Outcome, &e.Reason,
	} {
		*s = cleanText(*s, maxWord)
	}
	for _, s := range []*string{&e.Organisation, &e.Site, &e.Rule, &e.UserAgent} {
		*s = cleanText(*s, maxName)
	}
	e.Levels = cleanLevels(e.Levels)
	e.Detail = cleanDetail(e.Detail)
	return e.cleanExplanation()
}

func cleanLevels(levels []string) []string {
	if len(levels) == 0 {
		return nil
	}
	cleaned := make([]string, 0, min(len(levels), maxList))
	for _, l := range levels[:min(len(levels), maxList)] {
		cleaned = append(cleaned, cleanText(l, maxWord))
	}
	return cleaned
}

func cleanDetail(fields []Field) []Field {
	if len(fields) == 0 {
		return nil
	}
	cleaned := make([]Field, 0, min(len(fields), maxList))
	for _, f := range fields[:min(len(fields), maxList)] {
		cleaned = append(cleaned, Field{Key: cleanText(f.Key, maxWord), Value: cleanText(f.Value, maxValue)})
	}
	return cleaned
}

// cleanExplanation drops an explanation that cannot be kept, and says so: the
// event itself is never lost for it.
func (e Event) cleanExplanation() Event {
	if len(e.Explanation) == 0 {
		e.Explanation = nil
		return e
	}
	problem := ""
	switch {
	case len(e.Explanation) > maxExplanation:
		problem = "too large"
	case !json.Valid(e.Explanation):
		problem = "not JSON"
	default:
		if e.Explanation = escapeJSON(e.Explanation); len(e.Explanation) <= maxExplanation {
			return e
		}
		problem = "too large"
	}
	e.Explanation = nil
	e.Detail = append(e.Detail[:min(len(e.Detail), maxList-1)], Field{Key: "explanation", Value: problem})
	return e
}

// escapeJSON writes characters that a terminal or a reader could be misled by
// as \u escapes. In valid JSON they stand only within strings, so the value
// stays the same.
func escapeJSON(raw []byte) json.RawMessage {
	var b strings.Builder
	for _, r := range string(raw) { // an invalid byte reads as U+FFFD
		switch {
		case r < utf8.RuneSelf || plain(r):
			b.WriteRune(r)
		case r > 0xffff:
			hi, lo := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, hi, lo)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	compact, err := json.Marshal(json.RawMessage(b.String()))
	if err != nil {
		return nil
	}
	return compact
}

// cleanText escapes what is not plain and cuts at limit bytes, never within
// a character or an escape. A cut text ends in an ellipsis.
func cleanText(s string, limit int) string {
	if len(s) <= limit && allPlain(s) {
		return s
	}
	const ellipsis = "…"
	var b strings.Builder
	fits := 0 // how much of b can stay if an ellipsis must follow
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		piece := s[:size]
		switch {
		case r == utf8.RuneError && size == 1:
			piece = fmt.Sprintf(`\x%02x`, s[0])
		case !plain(r) && r > 0xffff:
			piece = fmt.Sprintf(`\U%08x`, r)
		case !plain(r):
			piece = fmt.Sprintf(`\u%04x`, r)
		}
		if b.Len()+len(piece) > limit {
			return b.String()[:fits] + ellipsis
		}
		b.WriteString(piece)
		if b.Len()+len(ellipsis) <= limit {
			fits = b.Len()
		}
		s = s[size:]
	}
	return b.String()
}

func allPlain(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if !plain(r) {
			return false
		}
	}
	return true
}

// plain tells whether r shows as itself and moves nothing: a letter, mark,
// digit, punctuation, symbol or the ASCII space. Controls, line separators,
// other blanks, bidi and other format characters, private and unassigned
// ones are not.
func plain(r rune) bool { return unicode.IsPrint(r) }
