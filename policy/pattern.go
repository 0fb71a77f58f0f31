package policy

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/stepgate/stepgate/policy/target"
)

// Pattern is what a rule matches: a path by whole segments, and what the
// query must have. It is immutable.
type Pattern struct {
	text     string
	segments []segment
	// subtree is set where the path part ends in `/*`; slash where it ends
	// in `/`, the root aside.
	subtree, slash bool
	query          []term
}

// segment kinds, the most specific first.
type segmentKind int

const (
	literal segmentKind = iota
	globbed
	free
)

type segment struct {
	kind segmentKind
	// text is the folded literal, or the folded glob with its stars.
	text string
	glob *glob // of a globbed one
}

// term is one `name=glob` of a query pattern.
type term struct {
	name  string
	value textGlob
}

// ParsePattern reads a pattern as it is written in a rule. It is written
// decoded; percent-encodings are read as what they stand for, so that a
// literal star is `%2A` and a literal question mark `%3F`.
func ParsePattern(text string) (Pattern, error) {
	path, query, queried := strings.Cut(text, "?")
	p := Pattern{text: text}
	if err := p.readPath(path); err != nil {
		return Pattern{}, err
	}
	if !queried {
		return p, nil
	}
	return p, p.readQuery(query)
}

// String gives the pattern as it was written.
func (p Pattern) String() string { return p.text }

// Queried tells whether the pattern asks for something in the query: then it
// only ever adds to what its path needs.
func (p Pattern) Queried() bool { return len(p.query) > 0 }

func (p *Pattern) readPath(path string) error {
	if !strings.HasPrefix(path, "/") {
		return errors.New("a pattern begins with `/`")
	}
	if strings.HasSuffix(path, "/*/") {
		return fmt.Errorf("a subtree is written `%s`", strings.TrimSuffix(path, "/"))
	}
	rest := path[1:]
	p.slash = strings.HasSuffix(rest, "/")
	rest = strings.TrimSuffix(rest, "/")
	if rest == "" {
		if p.slash {
			return errors.New("an empty segment: runs of slashes are read as one")
		}
		return nil
	}
	if rest == "*" {
		p.subtree = true
		return nil
	}
	rest, p.subtree = strings.CutSuffix(rest, "/*")
	p.segments = make([]segment, 0, strings.Count(rest, "/")+1)
	for part := range strings.SplitSeq(rest, "/") {
		s, err := readSegment(part)
		if err != nil {
			return err
		}
		p.segments = append(p.segments, s)
	}
	return nil
}

func readSegment(text string) (segment, error) {
	if text == "*" {
		return segment{kind: free, text: "*"}, nil
	}
	if plain(text) {
		return segment{kind: literal, text: text}, nil
	}
	if strings.Contains(text, "**") {
		return segment{}, errors.New("`**` is not known: `/*` at the end is a subtree, `*` elsewhere a part of one segment")
	}
	if strings.ContainsAny(text, `{}\#`) {
		return segment{}, fmt.Errorf("`%s`: a path has no braces, backslashes or `#`; placeholders are not replaced here", text)
	}
	decoded, err := decodeSegment(text)
	if err != nil {
		return segment{}, err
	}
	switch decoded {
	case "":
		return segment{}, errors.New("an empty segment: runs of slashes are read as one")
	case ".", "..":
		return segment{}, errors.New("a dot segment never reaches a rule: such requests are refused")
	}
	for _, r := range decoded {
		if r < ' ' || r == 0x7f || r == '\\' {
			return segment{}, errors.New("control bytes and backslashes never reach a rule: such requests are refused")
		}
	}
	if !strings.Contains(text, "*") {
		return segment{kind: literal, text: fold(decoded)}, nil
	}
	g := newGlob(text, func(piece string) string {
		plain, _ := decodeSegment(piece)
		return fold(plain)
	})
	return segment{kind: globbed, text: g.String(), glob: &g}, nil
}

// plain tells whether a segment is a literal in which there is nothing to
// decode, to fold or to refuse, as nearly all are where there are many.
func plain(text string) bool {
	for i := range len(text) {
		if c := text[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' && (c != '.' || i == 0) {
			return false
		}
	}
	return text != ""
}

// decodeSegment decodes what is percent-encoded, but for an encoded slash:
// that is part of its segment and stays in the form that readings have.
func decodeSegment(text string) (string, error) {
	if !strings.Contains(text, "%") {
		return text, nil
	}
	decoded, err := url.PathUnescape(encodedSlash.Replace(text))
	if err != nil {
		return "", fmt.Errorf("`%s`: a `%%` begins an encoding of two hex digits; a literal one is `%%25`", text)
	}
	return decoded, nil
}

var encodedSlash = strings.NewReplacer("%2f", "%252f", "%2F", "%252f")

func fold(text string) string { return target.FoldSegment(text) }

func (p *Pattern) readQuery(query string) error {
	for _, text := range strings.Split(query, "&") {
		name, value, valued := strings.Cut(text, "=")
		if !valued {
			value = "*"
		}
		plain, err := url.QueryUnescape(name)
		if err != nil || plain == "" {
			return fmt.Errorf("`?%s`: expected `?name=glob`, joined by `&`", query)
		}
		g, err := readTextGlob(value, url.QueryUnescape)
		if err != nil {
			return fmt.Errorf("`%s`: %w", text, err)
		}
		p.query = append(p.query, term{name: plain, value: g})
	}
	return nil
}

// textGlob is a glob over a value of a query or a form. Letter case does not
// matter.
type textGlob struct {
	whole   string
	glob    glob
	starred bool
}

func readTextGlob(text string, decode func(string) (string, error)) (textGlob, error) {
	if strings.Contains(text, "?") {
		return textGlob{}, errors.New("`?` has no meaning in a glob, only `*` has; a literal one is `%3F`")
	}
	whole, err := decode(text)
	if err != nil {
		return textGlob{}, errors.New("a `%` begins an encoding of two hex digits; a literal one is `%25`")
	}
	if !strings.Contains(text, "*") {
		return textGlob{whole: target.FoldText(whole)}, nil
	}
	return textGlob{starred: true, glob: newGlob(text, func(piece string) string {
		plain, _ := decode(piece)
		return target.FoldText(plain)
	})}, nil
}

// fits tells whether a folded value matches.
func (g *textGlob) fits(folded string) bool {
	if !g.starred {
		return folded == g.whole
	}
	return g.glob.matches(folded)
}

// Covers tells whether every path that o matches is matched by p. Queries are
// not looked at. It may miss that one glob covers another when neither is a
// plain `*`; what it says is always so.
func (p Pattern) Covers(o Pattern) bool {
	for i := range p.segments {
		if i == len(o.segments) || !p.segments[i].covers(o.segments[i]) {
			return false
		}
	}
	return p.subtree || len(p.segments) == len(o.segments) && !o.subtree
}

func (s segment) covers(o segment) bool {
	switch {
	case s.kind == free:
		return true
	case s.kind == literal:
		return o.kind == literal && s.text == o.text
	case o.kind == literal:
		return s.glob.matches(o.text)
	case o.kind == globbed:
		return s.text == o.text || len(s.glob.middle) == 0 &&
			strings.HasPrefix(o.glob.prefix, s.glob.prefix) && strings.HasSuffix(o.glob.suffix, s.glob.suffix)
	default:
		return false
	}
}
