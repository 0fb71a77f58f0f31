package gate

import (
	"io"
	"net/http"
	"strings"

	"github.com/stepgate/stepgate/internal/session"
)

// MethodOverrides are the headers in which a request may claim another method
// than its own. They reach the upstream; the policy looks up both.
var MethodOverrides = NewHeaderSet("X-Http-Method-Override", "X-Method-Override", "X-Http-Method")

// claimsMethod tells whether a header claims another method.
func claimsMethod(h http.Header) bool {
	for name := range h {
		if MethodOverrides.Has(name) {
			return true
		}
	}
	return false
}

// HeaderSet finds header names in every spelling that some server folds into
// one: letter case, and any character that is no letter or digit in place of
// the dash.
type HeaderSet struct {
	folded  map[string]struct{}
	lengths [64]bool
	// Paths has the set take in every name by which an application may be
	// told another path than the one that was judged.
	Paths bool
}

// NewHeaderSet makes a set of names.
func NewHeaderSet(names ...string) *HeaderSet {
	s := &HeaderSet{folded: make(map[string]struct{}, len(names))}
	for _, n := range names {
		f := FoldHeader(n)
		s.folded[f] = struct{}{}
		s.lengths[len(f)%len(s.lengths)] = true
	}
	return s
}

// FoldHeader is the form CGI gives a name (RFC 3875 §4.1.18), in lower case.
func FoldHeader(name string) string {
	b := []byte(name)
	for i, c := range b {
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
		case c >= 'A' && c <= 'Z':
			b[i] = c + 'a' - 'A'
		default:
			b[i] = '-'
		}
	}
	return string(b)
}

// Has tells whether name is in the set. Most names are told apart by their
// length alone.
func (s *HeaderSet) Has(name string) bool {
	if !s.lengths[len(name)%len(s.lengths)] {
		return false
	}
	var buf [64]byte
	if len(name) > len(buf) {
		_, ok := s.folded[FoldHeader(name)]
		return ok
	}
	b := append(buf[:0], name...)
	for i, c := range b {
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
		case c >= 'A' && c <= 'Z':
			b[i] = c + 'a' - 'A'
		default:
			b[i] = '-'
		}
	}
	_, ok := s.folded[string(b)]
	return ok
}

// strip removes every spelling of the set's names from a header. It tells
// whether what is left of it claims another method.
func (s *HeaderSet) strip(h http.Header) (claims bool) {
	for name := range h {
		switch {
		case s.Has(name) || s.Paths && namesPath(name):
			delete(h, name)
		case MethodOverrides.Has(name):
			claims = true
		}
	}
	return claims
}

// StripRequest makes a request speak of nobody, before anything else looks at
// it, on every path: managed names in headers and in trailers. It tells
// whether a header claims another method than the request's own.
func (s *HeaderSet) StripRequest(r *http.Request) (claims bool) {
	claims = s.strip(r.Header)
	if len(r.Trailer) > 0 {
		s.strip(r.Trailer)
		if r.Body != nil {
			r.Body = &trailerStripper{ReadCloser: r.Body, request: r, set: s}
		}
	}
	return claims
}

// trailerStripper removes managed names from the trailers once they have
// arrived, in the Read that reports the end of the body.
type trailerStripper struct {
	io.ReadCloser
	request *http.Request
	set     *HeaderSet
}

func (t *trailerStripper) Read(p []byte) (int, error) {
	n, err := t.ReadCloser.Read(p)
	if err != nil {
		t.set.strip(t.request.Trailer)
	}
	return n, err
}

// cleanConnection leaves of a Connection header only what speaks of the
// connection itself.
func cleanConnection(h http.Header) {
	lines, ok := h["Connection"]
	if !ok {
		return
	}
	if len(lines) == 1 && connectionOption(lines[0]) {
		return
	}
	var keep []string
	for _, line := range lines {
		for option := range strings.SplitSeq(line, ",") {
			if option = strings.TrimSpace(option); connectionOption(option) {
				keep = append(keep, option)
			}
		}
	}
	if keep == nil {
		delete(h, "Connection")
		return
	}
	h["Connection"] = []string{strings.Join(keep, ", ")}
}

func connectionOption(option string) bool {
	for _, known := range [...]string{"keep-alive", "close", "te"} {
		if strings.EqualFold(option, known) {
			return true
		}
	}
	return false
}

// WithholdCookies removes the gateway's own cookies from a Cookie line. It
// returns the line itself where there are none.
func WithholdCookies(line string) string {
	if left, whole := betweenOurs(line); whole {
		return left
	}
	var left []string
	for part := range strings.SplitSeq(line, ";") {
		if !ours(part) {
			left = append(left, strings.TrimSpace(part))
		}
	}
	return strings.Join(left, "; ")
}

// ours tells whether a part of a Cookie line is the gateway's. Most are told
// apart by their first letter.
func ours(part string) bool {
	for part != "" && (part[0] == ' ' || part[0] == '\t' || part[0] == '"') {
		part = part[1:]
	}
	if part == "" || part[0] != '_' && part[0]|0x20 != 's' {
		return false
	}
	name, _, _ := strings.Cut(part, "=")
	return session.Reserved(strings.TrimRight(name, " \t\""))
}

// betweenOurs is what a Cookie line has besides the gateway's cookies, where
// these stand at its ends; whole is false where one is between others.
func betweenOurs(line string) (left string, whole bool) {
	from, to, found := -1, 0, false // of what is left; one of ours is behind it
	for at := 0; at <= len(line); {
		end := len(line)
		if i := strings.IndexByte(line[at:], ';'); i >= 0 {
			end = at + i
		}
		switch {
		case ours(line[at:end]):
			found = true
		case from < 0:
			from, to = at, end
		case found && to < at-1:
			return "", false
		default:
			to = end
		}
		at = end + 1
	}
	switch {
	case !found:
		return line, true
	case from < 0:
		return "", true
	default:
		return strings.TrimSpace(line[from:to]), true
	}
}

// WithholdRequestCookies takes the gateway's cookies out of the request.
func WithholdRequestCookies(header http.Header) {
	lines := header["Cookie"]
	if len(lines) == 0 {
		return
	}
	left := make([]string, 0, len(lines))
	for _, line := range lines {
		if line = WithholdCookies(line); line != "" {
			left = append(left, line)
		}
	}
	if len(left) == 0 {
		delete(header, "Cookie")
		return
	}
	header["Cookie"] = left
}
