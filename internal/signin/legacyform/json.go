package legacyform

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// pointer is a JSON Pointer (RFC 6901 §3), its reference tokens unescaped.
type pointer []string

var brokenEscape = regexp.MustCompile(`~([^01]|$)`)

func compilePointer(text string) (pointer, error) {
	if !strings.HasPrefix(text, "/") || len(text) < 2 || brokenEscape.MatchString(text) {
		return nil, fmt.Errorf("json %s: expected a JSON Pointer, such as /username", text)
	}
	var p pointer
	for part := range strings.SplitSeq(text[1:], "/") {
		p = append(p, strings.NewReplacer("~1", "/", "~0", "~").Replace(part)) // RFC 6901 §4: ~1 first
	}
	return p, nil
}

// last is the name of what it points to.
func (p pointer) last() string {
	if len(p) == 0 {
		return ""
	}
	return p[len(p)-1]
}

// in is what it points to in a document.
func (p pointer) in(document any) (any, bool) {
	for _, token := range p {
		switch at := document.(type) {
		case map[string]any:
			next, ok := at[token]
			if !ok {
				return nil, false
			}
			document = next
		case []any:
			i, err := strconv.Atoi(token)
			if err != nil || i < 0 || i >= len(at) || token != strconv.Itoa(i) {
				return nil, false
			}
			document = at[i]
		default:
			return nil, false
		}
	}
	return document, true
}

// maxDepth is how deep documents may nest.
const maxDepth = 32

var errJSON = errors.New("the body is no JSON that every server would read alike")

// readJSON reads a document that every parser reads alike: UTF-8, no name
// twice in an object by whatever letter case (RFC 8259 §4), no half of a
// surrogate pair, nothing behind it.
func readJSON(body []byte) (any, error) {
	if !utf8.Valid(body) {
		return nil, errJSON
	}
	tokens := json.NewDecoder(bytes.NewReader(body))
	tokens.UseNumber()
	document, err := readValue(tokens, 0)
	if err != nil {
		return nil, err
	}
	if _, err := tokens.Token(); !errors.Is(err, io.EOF) {
		return nil, errJSON
	}
	return document, nil
}

func readValue(tokens *json.Decoder, depth int) (any, error) {
	token, err := tokens.Token()
	if err != nil || depth > maxDepth {
		return nil, errJSON
	}
	switch token {
	case json.Delim('{'):
		return readObject(tokens, depth)
	case json.Delim('['):
		var all []any
		for tokens.More() {
			value, err := readValue(tokens, depth+1)
			if err != nil {
				return nil, err
			}
			all = append(all, value)
		}
		_, err := tokens.Token()
		return all, err
	}
	if text, ok := token.(string); ok && strings.ContainsRune(text, utf8.RuneError) {
		return nil, errJSON
	}
	return token, nil
}

func readObject(tokens *json.Decoder, depth int) (any, error) {
	object, folded := map[string]any{}, map[string]bool{}
	for tokens.More() {
		token, err := tokens.Token()
		name, ok := token.(string)
		if err != nil || !ok || folded[strings.ToLower(name)] || strings.ContainsRune(name, utf8.RuneError) {
			return nil, errJSON
		}
		folded[strings.ToLower(name)] = true
		if object[name], err = readValue(tokens, depth+1); err != nil {
			return nil, err
		}
	}
	_, err := tokens.Token()
	return object, err
}

// isJSON tells whether a Content-Type says JSON, in UTF-8 (RFC 8259 §8.1).
func isJSON(contentType string) bool {
	kind, params, err := mime.ParseMediaType(contentType)
	charset := params["charset"]
	return err == nil && (kind == "application/json" || strings.HasSuffix(kind, "+json")) && (charset == "" || strings.EqualFold(charset, "utf-8"))
}

// jsonSubmission reads the name of a submit whose body is JSON.
func (f *Form) jsonSubmission(s *Seen) (string, error) {
	if s.Body == nil || s.Encoded {
		return "", errJSON
	}
	contentType, body, ok := s.Body()
	if !ok || !isJSON(contentType) {
		return "", errJSON
	}
	document, err := readJSON(body)
	if err != nil {
		return "", err
	}
	value, _ := f.username.in(document)
	name, ok := value.(string)
	if !ok {
		return "", fmt.Errorf("there is no text at %s", f.config.UsernameField)
	}
	return name, nil
}

// jsonNames finds the fields of a JSON body by their names alone, at whatever
// depth: also in what is no JSON to us.
type jsonNames struct {
	fields []string
	found  []bool
	tail   []byte
}

var memberName = regexp.MustCompile(`"((?:[^"\\]|\\.){1,512})"[\t\r\n ]*:`)

func (j *jsonNames) find(piece []byte) bool {
	window := append(j.tail, piece...)
	for _, m := range memberName.FindAllSubmatch(window, -1) {
		var name string
		if json.Unmarshal(append(append([]byte{'"'}, m[1]...), '"'), &name) != nil {
			name = string(m[1])
		}
		for i, field := range j.fields {
			j.found[i] = j.found[i] || strings.EqualFold(name, field)
		}
	}
	j.tail = append(j.tail[:0:0], window[max(0, len(window)-overlap):]...)
	return !slices.Contains(j.found, false)
}

func newJSONNames(fields ...string) *jsonNames {
	return &jsonNames{fields: fields, found: make([]bool, len(fields))}
}
