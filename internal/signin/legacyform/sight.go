package legacyform

import (
	"mime"
	"net/url"
	"slices"
	"strings"

	"github.com/stepgate/stepgate/internal/weld"
	pt "github.com/stepgate/stepgate/policy/target"
)

// Sight is what a request is to the app's login.
type Sight int

// What a request can be; doc.go has the table.
const (
	Elsewhere Sight = iota
	LoginPage
	Submit
	SignOut
	Stray
)

// Seen is a request as far as this package looks at it.
type Seen struct {
	Method string
	// Claimed says that headers claim another method.
	Claimed bool
	// Target is the readings of the raw target that the client sent.
	Target *pt.Readings
	// Form gives the Content-Type and the body, as policy.Request has it; ok
	// is false for one that was not read to its end. Nil: no body.
	Form func() (contentType string, body []byte, ok bool)
	// Body is Form for JSON and other text as well.
	Body func() (contentType string, body []byte, ok bool)
	// Encoded says that the body has a Content-Encoding: no browser sends
	// forms so, and what is in it cannot be read.
	Encoded bool
	// Types are the lines of Content-Type: servers take the first or the last
	// of several (RFC 9110 §8.3).
	Types []string
}

// target is a Target, compiled.
type target struct {
	methods []string
	path    string
	query   []Field
	form    []Field
}

// Sight tells what a request is. It reads a form's body only where that could
// matter.
func (f *Form) Sight(s *Seen) Sight {
	switch part := f.Part(s); {
	case part != Elsewhere:
		return part
	case !f.stray(s):
		return Elsewhere
	case f.namedInQuery(s):
		return Submit
	default:
		return Stray
	}
}

// Part is Sight without the look for a name and a password where no login is.
func (f *Form) Part(s *Seen) Sight {
	at := s.Target.RawPath()
	for _, t := range f.submit {
		if t.path == at && t.is(s) {
			return Submit
		}
	}
	if s.ambiguous() {
		return Stray
	}
	for _, t := range f.pages {
		if t.path == at && t.is(s) && !s.hasBody() {
			return LoginPage
		}
	}
	for _, t := range f.signOut {
		if t.path == at && t.is(s) {
			return SignOut
		}
	}
	return Elsewhere
}

// namedInQuery tells whether a stray request is a submit but for a query that
// has the name: Submission refuses it as one that names nobody in one way.
func (f *Form) namedInQuery(s *Seen) bool {
	if values, _ := s.Target.QueryValues(f.fields()[0]); len(values) == 0 {
		return false
	}
	return slices.ContainsFunc(f.submit, func(t *target) bool { return t.path == s.Target.RawPath() && t.asked(s) })
}

// ambiguous tells whether a body is a form by one of several types and may be
// another form, or none, by the next: nobody can say then which fields it has.
func (s *Seen) ambiguous() bool {
	if s.Form == nil {
		return false
	}
	if len(s.Types) > 1 {
		return slices.ContainsFunc(s.Types, pt.MayBeForm)
	}
	if len(s.Types) == 0 || !strings.Contains(s.Types[0], ",") {
		return false
	}
	_, _, err := mime.ParseMediaType(s.Types[0])
	return err != nil && pt.MayBeForm(s.Types[0])
}

func (s *Seen) hasBody() bool {
	if s.Form == nil {
		return false
	}
	_, body, ok := s.Form()
	return len(body) > 0 || !ok
}

// methodField is the field by which a query or a form claims a method.
const methodField = "_method"

// is tells whether a request whose path is the target's is it exactly.
func (t *target) is(s *Seen) bool { return t.queryIs(s) && t.asked(s) }

// asked is is without the query.
func (t *target) asked(s *Seen) bool {
	if s.Claimed || !slices.Contains(t.methods, s.Method) {
		return false
	}
	for _, field := range t.form {
		if !s.formHas(field) {
			return false
		}
	}
	return !s.formClaims()
}

// queryIs tells whether the query has the target's fields, each with a value
// that fits by every reading, and no others.
func (t *target) queryIs(s *Seen) bool {
	for part := range strings.FieldsFuncSeq(s.Target.RawQuery(), func(r rune) bool { return strings.ContainsRune("&;?#", r) }) {
		name, _, _ := strings.Cut(part, "=")
		decoded, err := url.QueryUnescape(name)
		if err != nil || !slices.ContainsFunc(t.query, func(f Field) bool { return f.Name == decoded }) {
			return false
		}
	}
	for _, f := range t.query {
		values, unreadable := s.Target.QueryValues(f.Name)
		if unreadable || len(values) == 0 && f.Value != "*" || !all(values, f.Value) {
			return false
		}
	}
	return true
}

// all tells whether every reading of a value fits. One of them is the value
// as it is written, which may be in escapes.
func all(values []string, glob string) bool {
	g := weld.Glob(glob)
	return !slices.ContainsFunc(values, func(v string) bool {
		decoded, err := url.QueryUnescape(v)
		return !g.Matches(v) && (err != nil || !g.Matches(decoded))
	})
}

func (s *Seen) formValues(name string) (values []string, unreadable bool) {
	if s.Form == nil {
		return nil, false
	}
	contentType, body, ok := s.Form()
	values, unreadable = pt.FormValues(contentType, body, name)
	return values, unreadable || !ok
}

func (s *Seen) formHas(f Field) bool {
	values, unreadable := s.formValues(f.Name)
	return len(values) > 0 && !unreadable && all(values, f.Value)
}

func (s *Seen) formClaims() bool {
	values, _ := s.formValues(methodField)
	return slices.ContainsFunc(values, func(v string) bool { return !strings.EqualFold(v, s.Method) })
}

// stray tells whether a request has both fields, by whichever reading, in the
// query or a form. What cannot be read counts for one of them where the other
// is found. Bodies that are longer than what was read are for Watch.
func (f *Form) stray(s *Seen) bool {
	if f.Bears() && s.Body != nil && f.strayBody(s) {
		return true
	}
	if s.Target.RawQuery() == "" && s.Target.Len() == 1 && s.Form == nil {
		return false
	}
	if s.Encoded && s.Form != nil {
		if _, body, _ := s.Form(); len(body) > 0 {
			return true
		}
	}
	names := f.fields()
	name, maybeName := s.carries(names[0])
	password, maybePassword := s.carries(names[1])
	return name && (password || maybePassword) || password && maybeName
}

// strayBody tells whether a body has a bearer token, which is welded in the
// header and the query alone, or, where logins are JSON, both fields.
func (f *Form) strayBody(s *Seen) bool {
	_, body, _ := s.Body()
	names := f.fields()
	both := f.json && newJSONNames(names[:]...).find(body)
	return both || newJSONNames(tokenField).find(body) || len(s.formValuesOf(tokenField)) > 0
}

func (s *Seen) formValuesOf(name string) []string {
	values, _ := s.formValues(name)
	return values
}

func (s *Seen) carries(field string) (found, perhaps bool) {
	values, unreadable := s.Target.QueryValues(field)
	found, perhaps = len(values) > 0, unreadable
	if s.Form != nil {
		contentType, body, ok := s.Form()
		values, unreadable = pt.FormValues(contentType, body, field)
		found = found || len(values) > 0
		perhaps = perhaps || unreadable && ok
	}
	return found, perhaps
}
