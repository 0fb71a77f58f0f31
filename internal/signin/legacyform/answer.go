package legacyform

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/signin"
	"github.com/stepgate/stepgate/internal/weld"
)

// MaxBody is how much of an answer's body is looked at, in bytes, decoded.
const MaxBody = 1 << 20

// Answer is what the app answered.
type Answer struct {
	// URL is that of the request, as browsers have it: scheme, host, path.
	URL    *url.URL
	Status int
	Header http.Header
	// Body is its beginning, as sent; Whole says that it is all.
	Body  []byte
	Whole bool
}

// text is the body without its content encoding. whole is false where some
// of it could not be read.
func (a *Answer) text() (text []byte, whole bool) {
	encodings := strings.Split(strings.ToLower(strings.Join(a.Header["Content-Encoding"], ",")), ",")
	text, whole = a.Body, a.Whole
	for _, e := range slices.Backward(encodings) {
		var cut bool
		switch strings.TrimSpace(e) {
		case "", "identity":
			continue
		case "gzip", "x-gzip":
			text, cut = decoded(gzipReader(text))
		case "deflate":
			text, cut = decoded(deflateReader(text))
		case "br":
			text, cut = decoded(brotli.NewReader(bytes.NewReader(text)), nil)
		case "zstd":
			text, cut = unzstd(text)
		default:
			return nil, false
		}
		whole = whole && !cut
	}
	return text, whole
}

func gzipReader(b []byte) (io.Reader, error) { return gzip.NewReader(bytes.NewReader(b)) }

// deflateReader takes both things that servers call deflate (RFC 9110
// §8.4.1.2).
func deflateReader(b []byte) (io.Reader, error) {
	if r, err := zlib.NewReader(bytes.NewReader(b)); err == nil {
		return r, nil
	}
	return flate.NewReader(bytes.NewReader(b)), nil
}

// zstdWindow is the most memory that a frame may ask for, in bytes: what
// browsers grant (RFC 9659 §3).
const zstdWindow = 8 << 20

func unzstd(b []byte) (text []byte, cut bool) {
	r, err := zstd.NewReader(bytes.NewReader(b), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(zstdWindow))
	if err != nil {
		return nil, true
	}
	defer r.Close()
	return decoded(r, nil)
}

func decoded(r io.Reader, err error) (text []byte, cut bool) {
	if err != nil {
		return nil, true
	}
	text, err = io.ReadAll(io.LimitReader(r, MaxBody+1))
	if len(text) > MaxBody {
		return text[:MaxBody], true
	}
	return text, err != nil
}

// condition is a Condition, compiled.
type condition struct {
	kind, name string
	globs      []weld.Glob
	locations  []location
	patterns   []*regexp.Regexp
}

type location struct {
	not   bool
	path  weld.Glob // in lower case
	query []Field
}

// holds tells whether the answer has the sign. sure is false where that
// cannot be known.
func (c *condition) holds(a *Answer, now time.Time) (holds, sure bool) {
	switch c.kind {
	case "status":
		return anyGlob(c.globs, strconv.Itoa(a.Status)), true
	case "location":
		return c.leads(a), true
	case "header":
		values := a.Header.Values(c.name)
		return len(values) > 0 && (len(c.globs) == 0 || slices.ContainsFunc(values, func(v string) bool { return anyGlob(c.globs, v) })), true
	case "cookie":
		return slices.ContainsFunc(a.cookies(c.name, now), func(v string) bool { return len(c.globs) == 0 || anyGlob(c.globs, v) }), true
	default:
		text, whole := a.text()
		for _, p := range c.patterns {
			if p.Match(text) {
				return true, true
			}
		}
		return false, whole
	}
}

func anyGlob(globs []weld.Glob, text string) bool {
	return slices.ContainsFunc(globs, func(g weld.Glob) bool { return g.Matches(text) })
}

// cookies lists the values that the answer gives a cookie; name may be a glob.
func (a *Answer) cookies(name string, now time.Time) (values []string) {
	for _, line := range a.Header["Set-Cookie"] {
		if c, ok := weld.ParseSetCookie(line, now); ok && !c.Gone && weld.Glob(name).Matches(c.Name) {
			values = append(values, c.Value)
		}
	}
	return values
}

// leads judges where the answer sends the browser: to this origin, to one of
// the wanted places and to none of the unwanted.
func (c *condition) leads(a *Answer) bool {
	lines := a.Header["Location"]
	if len(lines) != 1 || a.Status < 300 || a.Status > 399 {
		return false
	}
	to, err := a.URL.Parse(lines[0])
	if err != nil || to.Scheme != a.URL.Scheme || !strings.EqualFold(to.Host, a.URL.Host) {
		return false
	}
	wanted, found := false, false
	for _, l := range c.locations {
		fits := l.fits(to)
		if l.not && fits {
			return false
		}
		wanted = wanted || !l.not
		found = found || !l.not && fits
	}
	return found || !wanted
}

func (l location) fits(to *url.URL) bool {
	path := to.Path
	if path == "" {
		path = "/"
	}
	if !l.path.Matches(strings.ToLower(path)) {
		return false
	}
	query := to.Query()
	return !slices.ContainsFunc(l.query, func(f Field) bool {
		return !slices.ContainsFunc(query[f.Name], func(v string) bool { return weld.Glob(f.Value).Matches(v) })
	})
}

// Ask asks the app for a path and query in the name of a browser with these
// cookies, and with the bearer token that the context has (BearerOf).
type Ask func(ctx context.Context, target, cookies string) (*Answer, error)

// identity is an Identity, compiled.
type identity struct {
	kind, name string
	pattern    *regexp.Regexp
}

// escaped tells whether the name stands in a URL: the group is called url.
func (i *identity) escaped() bool { return i.pattern.SubexpNames()[1] == "url" }

// ErrNobody says that the app names nobody, or more than one.
var ErrNobody = errors.New("legacyform: the app does not say who this is")

// says is the name in an answer, the login's or the probe's.
func (i *identity) says(a *Answer, now time.Time) (string, error) {
	var names []string
	switch i.kind {
	case "cookie":
		for _, v := range a.cookies(i.name, now) {
			if decoded, err := url.QueryUnescape(v); err == nil {
				v = decoded
			}
			names = append(names, v)
		}
	case "header":
		names = a.Header.Values(i.name)
	default:
		text, _ := a.text()
		for _, m := range i.pattern.FindAllSubmatch(text, -1) {
			name := html.UnescapeString(string(m[1]))
			if decoded, err := url.QueryUnescape(name); err == nil && i.escaped() {
				name = decoded
			}
			names = append(names, name)
		}
	}
	for i, n := range names {
		names[i] = strings.TrimSpace(n)
	}
	slices.Sort(names)
	if names = slices.Compact(names); len(names) != 1 || !utf8.ValidString(names[0]) || account.CheckUsername(names[0]) != nil {
		return "", ErrNobody
	}
	return names[0], nil
}

// Who asks the app who a browser with these cookies is: first by the session's
// cookies alone and those that the operator named besides, because another
// could name somebody else or ask for another language. Only if the app names
// nobody by them, and the operator named none, all go. ErrNobody says that the
// app names nobody; other errors are technical, and say nothing.
func (f *Form) Who(ctx context.Context, ask Ask, cookies string) (signin.Identity, error) {
	if !f.ConfirmsLater() {
		return signin.Identity{}, ErrNobody
	}
	few := f.asked.Only(cookies)
	who, err := f.whoBy(ctx, ask, few)
	if errors.Is(err, ErrNobody) && len(f.config.ProbeCookies) == 0 && few != "" && f.asked.Others(cookies) != "" {
		return f.whoBy(ctx, ask, cookies)
	}
	return who, err
}

func (f *Form) whoBy(ctx context.Context, ask Ask, cookies string) (signin.Identity, error) {
	a, err := ask(ctx, f.identity.name, cookies)
	switch {
	case err != nil:
		return signin.Identity{}, fmt.Errorf("ask the app who this is: %w", err)
	case a.Status == http.StatusOK:
		return f.named(a)
	case a.Status < 400, a.Status == http.StatusUnauthorized, a.Status == http.StatusForbidden, a.Status == http.StatusNotFound:
		return signin.Identity{}, ErrNobody
	default:
		return signin.Identity{}, fmt.Errorf("ask the app who this is: it answered %d", a.Status)
	}
}

// Named is who an answer in the middle of a session says this is, for apps
// that say it in every answer.
func (f *Form) Named(status int, h http.Header) (signin.Identity, error) {
	if f.identity == nil || f.identity.kind != "header" && f.identity.kind != "cookie" {
		return signin.Identity{}, ErrNobody
	}
	return f.named(&Answer{Status: status, Header: h})
}

func (f *Form) named(a *Answer) (signin.Identity, error) {
	name, err := f.identity.says(a, time.Now())
	if err != nil {
		return signin.Identity{}, err
	}
	return signin.Identity{Source: f.name, Subject: account.FoldUsername(name), Username: name, ByName: true, MayCreate: true}, nil
}
