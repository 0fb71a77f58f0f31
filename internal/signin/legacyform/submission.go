package legacyform

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/stepgate/stepgate/internal/account"
	pt "github.com/stepgate/stepgate/policy/target"
)

// ErrSubmission says that a submit does not name one person in one way: the
// answer is 400.
var ErrSubmission = errors.New("legacyform: the submit names nobody, or in more than one way")

// Submission is a login on its way to the app.
type Submission struct {
	// Username is what was typed, decoded; "" on the second page of two. The
	// password is never read.
	Username string
	// First says that this is the first page of two, without a password.
	First bool
}

// Pages tells whether logins may come in two pages: a name, then a password.
// The app has to say who it let in, and to keep the name by its cookie.
func (f *Form) Pages() bool { return len(f.submit) > 1 && !f.json && f.identity != nil }

// Submission reads the name of a submit.
func (f *Form) Submission(s *Seen) (Submission, error) {
	field := f.fields()[0]
	if values, unreadable := s.Target.QueryValues(field); len(values) > 0 || unreadable {
		return Submission{}, fmt.Errorf("%w: the query has it", ErrSubmission)
	}
	first := false
	if f.Pages() && s.whole() {
		name, perhapsName := s.carries(field)
		password, perhapsPassword := s.carries(f.fields()[1])
		if password && !name && !perhapsName {
			return Submission{}, nil
		}
		first = !password && !perhapsPassword
	}
	read := f.formSubmission
	if f.json {
		read = f.jsonSubmission
	}
	typed, err := read(s)
	if err != nil {
		return Submission{}, fmt.Errorf("%w: %w", ErrSubmission, err)
	}
	if err := account.CheckUsername(typed); err != nil {
		return Submission{}, fmt.Errorf("%w: %w", ErrSubmission, err)
	}
	return Submission{Username: typed, First: first}, nil
}

// whole tells whether the form was read to its end.
func (s *Seen) whole() bool {
	if s.Form == nil || s.Encoded {
		return false
	}
	_, _, ok := s.Form()
	return ok
}

// formSubmission reads the name of a submit that is a form.
func (f *Form) formSubmission(s *Seen) (string, error) {
	if s.Form == nil {
		return "", errors.New("there is no form")
	}
	field := f.config.UsernameField
	contentType, body, ok := s.Form()
	values, unreadable := pt.FormValues(contentType, body, field)
	if !ok || unreadable || len(values) == 0 {
		return "", errors.New("the form has none, or cannot be read")
	}
	raw, err := soleField(contentType, body, field)
	if err != nil {
		return "", err
	}
	return f.decode(raw)
}

func (f *Form) decode(raw string) (string, error) {
	if f.charset != nil {
		return f.charset.NewDecoder().String(raw)
	}
	if !utf8.ValidString(raw) {
		return "", errors.New("it is not UTF-8; say in which charset the form is")
	}
	return raw, nil
}

// soleField returns the value of the field if it is there once, under its own
// name, and nothing else in the body could be taken for it.
func soleField(contentType string, body []byte, field string) (string, error) {
	kind, params, err := mime.ParseMediaType(contentType)
	switch {
	case err != nil:
		return "", err
	case kind == "application/x-www-form-urlencoded":
		return soleEncoded(string(body), field)
	case kind == "multipart/form-data":
		return solePart(multipart.NewReader(bytes.NewReader(body), params["boundary"]), field)
	default:
		return "", errors.New("it is no form")
	}
}

var errNotSole = errors.New("the field is there more than once, or under a name that is not quite its own")

// soleEncoded has to find the same wherever a parser takes a field to end.
func soleEncoded(body, field string) (string, error) {
	value, err := soleBetween(body, "&;?", field)
	if err != nil {
		return "", err
	}
	for _, separators := range []string{"&", "&;"} {
		if other, err := soleBetween(body, separators, field); err != nil || other != value {
			return "", errNotSole
		}
	}
	return value, nil
}

func soleBetween(body, separators, field string) (value string, err error) {
	found := 0
	for part := range strings.FieldsFuncSeq(body, func(r rune) bool { return strings.ContainsRune(separators, r) }) {
		rawName, rawValue, _ := strings.Cut(part, "=")
		if !named(rawName, field) {
			continue
		}
		found++
		name, err := url.QueryUnescape(rawName)
		if err != nil || name != field {
			return "", errNotSole
		}
		if value, err = url.QueryUnescape(rawValue); err != nil {
			return "", err
		}
	}
	if found != 1 {
		return "", errNotSole
	}
	return value, nil
}

// named tells whether some server takes a raw name for the field's.
func named(rawName, field string) bool {
	values, _ := pt.FormValues("application/x-www-form-urlencoded", []byte(rawName+"="), field)
	return len(values) > 0
}

func solePart(parts *multipart.Reader, field string) (value string, err error) {
	found := 0
	for {
		part, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", err
		}
		if !named(url.QueryEscape(part.FormName()), field) {
			continue
		}
		found++
		content, err := io.ReadAll(part)
		if err != nil || part.FormName() != field || part.FileName() != "" {
			return "", errNotSole
		}
		value = string(content)
	}
	if found != 1 {
		return "", errNotSole
	}
	return value, nil
}
