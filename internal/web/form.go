package web

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxFormBytes  = 64 << 10
	maxFormFields = 256
)

// ErrBadForm is what a form that no page of ours sends is refused with. It
// comes inside a Fail whose status says how: 400, 405, 413 or 415.
var ErrBadForm = errors.New("malformed form")

// ReadForm reads the urlencoded body of a POST of at most 64 KiB. A field that
// comes twice is refused, unless repeatable names it; so is what is not UTF-8.
// Every field but passwords is read by Plainly. Fields of the query
// are not part of it. All errors are *Fail and the
// client's fault. r.PostForm holds the same afterwards.
func ReadForm(w http.ResponseWriter, r *http.Request, repeatable ...string) (url.Values, error) {
	if r.Method != http.MethodPost {
		return nil, &Fail{Status: http.StatusMethodNotAllowed, Allow: http.MethodPost, Err: ErrBadForm}
	}
	body, err := readBody(w, r)
	if err != nil {
		return nil, err
	}
	if len(body) > 0 && !urlencoded(r.Header) {
		return nil, &Fail{Status: http.StatusUnsupportedMediaType, Err: ErrBadForm}
	}
	values, err := parseForm(string(body), repeatable)
	if err != nil {
		return nil, err
	}
	for name, all := range values {
		if !strings.Contains(name, "password") {
			for i, s := range all {
				all[i] = Plainly(s)
			}
		}
	}
	r.PostForm = values
	return values, nil
}

// Plainly reads what somebody may have pasted: format characters, which nobody sees
// (marks of direction, joiners, blanks without width), are dropped, and the
// decimal digits of all scripts are those of ASCII.
func Plainly(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r < utf8.RuneSelf:
			return r
		case unicode.Is(unicode.Cf, r):
			return -1
		case unicode.Is(unicode.Nd, r):
			return '0' + digit(r)
		default:
			return r
		}
	}, text)
}

// digit is the value of a decimal digit: Unicode keeps them in rows from zero
// to nine, some of which follow one another.
func digit(r rune) rune {
	for _, row := range unicode.Nd.R16 {
		if rune(row.Lo) <= r && r <= rune(row.Hi) {
			return (r - rune(row.Lo)) % 10
		}
	}
	for _, row := range unicode.Nd.R32 {
		if rune(row.Lo) <= r && r <= rune(row.Hi) {
			return (r - rune(row.Lo)) % 10
		}
	}
	return 0
}

func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.Body == nil {
		return nil, nil
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxFormBytes))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return nil, &Fail{Status: http.StatusRequestEntityTooLarge, Err: ErrBadForm}
	}
	if err != nil {
		return nil, badForm()
	}
	return body, nil
}

func urlencoded(h http.Header) bool {
	kind, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" || h.Get("Content-Encoding") != "" {
		return false
	}
	charset, given := params["charset"]
	return !given || strings.EqualFold(charset, "utf-8")
}

func parseForm(body string, repeatable []string) (url.Values, error) {
	if strings.Count(body, "&") >= maxFormFields {
		return nil, badForm()
	}
	values, err := url.ParseQuery(body)
	if err != nil {
		return nil, badForm()
	}
	for name, all := range values {
		if len(all) > 1 && !slices.Contains(repeatable, name) {
			return nil, badForm()
		}
		for _, s := range append([]string{name}, all...) {
			if !utf8.ValidString(s) || strings.ContainsRune(s, 0) {
				return nil, badForm()
			}
		}
	}
	return values, nil
}

func badForm() *Fail { return &Fail{Status: http.StatusBadRequest, Err: ErrBadForm} }
