package legacyform

import (
	"errors"
	"io"
	"mime"
	"regexp"
	"strings"

	"github.com/stepgate/stepgate/internal/weld"
)

// ErrStray is what the app's connection meets where a long body turns out to
// carry a name and a password: the request ends before the app has all of it.
var ErrStray = errors.New("legacyform: a name and a password where no login is")

const (
	// maxFieldName is longer than any spelling of a field's name.
	maxFieldName = 2 << 10
	// overlap is how much of a piece is looked at again with the next.
	overlap = 1 << 10
)

// Watch lets a form body that is too long to be read at once pass, as long as
// it does not carry both fields, nor one of the name of a session cookie: some
// servers take a session id from there. Other bodies come back as they are.
func (f *Form) Watch(body io.ReadCloser, contentType string) io.ReadCloser {
	kind, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		kind = strings.ToLower(contentType)
	}
	switch {
	case strings.Contains(kind, "multipart"):
		return &watched{ReadCloser: body, find: (&partNames{fields: f.fields(), ids: f.cookies}).find}
	case strings.Contains(kind, "urlencoded"), strings.TrimSpace(kind) == "":
		return &watched{ReadCloser: body, find: (&encodedNames{fields: f.fields(), ids: f.cookies}).find}
	case f.json:
		names := f.fields()
		return &watched{ReadCloser: body, find: newJSONNames(names[:]...).find}
	default:
		return body
	}
}

// fields are the names of the two fields, wherever they stand.
func (f *Form) fields() [2]string {
	if f.json {
		return [2]string{f.username.last(), f.password.last()}
	}
	return [2]string{f.config.UsernameField, f.config.PasswordField}
}

// watched reads a body and looks at every piece before it is passed on.
type watched struct {
	io.ReadCloser
	find func(piece []byte) (both bool)
	err  error
}

func (w *watched) Read(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	n, err := w.ReadCloser.Read(p)
	if n > 0 && w.find(p[:n]) {
		w.err = ErrStray
		return 0, w.err
	}
	return n, err
}

// encodedNames finds the fields of an urlencoded body by their names alone.
type encodedNames struct {
	fields [2]string
	ids    weld.Names
	found  [2]bool
	id     bool
	name   []byte
	value  bool // within a value, which does not matter
}

func (e *encodedNames) find(piece []byte) bool {
	for _, c := range piece {
		switch {
		case c == '&' || c == ';' || c == '?':
			e.end()
			e.value = false
		case e.value:
		case c == '=':
			e.end()
			e.value = true
		case len(e.name) < maxFieldName:
			e.name = append(e.name, c)
		}
	}
	return e.found[0] && e.found[1] || e.id
}

func (e *encodedNames) end() {
	e.id = e.id || len(e.name) > 0 && (len(e.name) == maxFieldName || e.ids.Has(string(e.name)))
	for i, field := range e.fields {
		if len(e.name) > 0 && (len(e.name) == maxFieldName || named(string(e.name), field)) {
			e.found[i] = true
		}
	}
	e.name = e.name[:0]
}

// partNames finds the fields of a multipart body by the names of its parts,
// wherever they stand.
type partNames struct {
	fields [2]string
	ids    weld.Names
	found  [2]bool
	id     bool
	tail   []byte
}

var partName = regexp.MustCompile(`(?i)\bname(\*?)[\t ]*=[\t\r\n ]*("[^"\r\n]*"|'[^'\r\n]*'|[^;\r\n\t "']+)`)

func (p *partNames) find(piece []byte) bool {
	// What begins with the tail was seen whole before, and may be the end of
	// a longer word now.
	window, again := append(p.tail, piece...), len(p.tail) == overlap
	for _, m := range partName.FindAllSubmatchIndex(window, -1) {
		if again && m[0] == 0 {
			continue
		}
		p.id = p.id || p.ids.Has(strings.Trim(string(window[m[4]:m[5]]), `"' `))
		for i, field := range p.fields {
			if m[2] < m[3] || strings.EqualFold(strings.Trim(string(window[m[4]:m[5]]), `"' `), field) {
				p.found[i] = true
			}
		}
	}
	p.tail = append(p.tail[:0:0], window[max(0, len(window)-overlap):]...)
	return p.found[0] && p.found[1] || p.id
}
