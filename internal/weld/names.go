package weld

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stepgate/stepgate/policy/target"
)

// Glob is a pattern for a whole text in which "*" stands for any characters.
type Glob string

// Matches compares byte by byte. It takes time in proportion to both lengths
// multiplied at worst.
func (g Glob) Matches(text string) bool {
	pattern := string(g)
	p, t, star, mark := 0, 0, -1, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, t
			p++
		case p < len(pattern) && pattern[p] == text[t]:
			p, t = p+1, t+1
		case star >= 0:
			mark++
			p, t = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// Names are the cookies by which an app knows who it is: names or globs. The
// zero value has none.
type Names struct {
	globs []Glob
	but   []string // as they are sent
}

// CompileNames refuses what can be no cookie's name, and a glob for all. A
// pattern that begins with "!" is a name that is none of them though a glob
// fits it: exactly that name, in no other spelling.
func CompileNames(patterns []string) (Names, error) {
	var n Names
	for _, p := range patterns {
		if name, but := strings.CutPrefix(p, "!"); but {
			if !plainName(name) || strings.Contains(name, "*") {
				return Names{}, fmt.Errorf("%q: expected the name of one cookie after the !", p)
			}
			n.but = append(n.but, name)
			continue
		}
		if strings.Trim(p, "*") == "" || strings.ContainsAny(p, " \t\",;=\\") || strings.ContainsFunc(p, func(r rune) bool { return r < ' ' || r > '~' }) {
			return Names{}, fmt.Errorf("%q is not the name of a cookie, nor a glob for some", p)
		}
		n.globs = append(n.globs, Glob(fold(p)))
	}
	return n, nil
}

// Empty tells whether there are none.
func (n Names) Empty() bool { return len(n.globs) == 0 }

// Has tells whether some server would take a raw name for one of them.
func (n Names) Has(raw string) bool {
	_, is := n.name(raw)
	return is
}

// name is the one of them that some server takes a raw name for, folded. The
// policy's own reading of field names says what servers do: a broken escape
// does not keep PHP from reading what stands before it.
func (n Names) name(raw string) (name string, is bool) {
	if slices.Contains(n.but, raw) {
		return "", false
	}
	if name = fold(raw); n.matches(name) {
		return name, true
	}
	if strings.IndexFunc(raw, func(r rune) bool { return r == '%' || r == '+' || r <= ' ' || r >= 0x7f }) < 0 {
		return "", false
	}
	for _, key := range target.FieldKeys(raw) {
		if name = fold(key); n.matches(name) {
			return name, true
		}
	}
	return "", false
}

func (n Names) matches(folded string) bool {
	for _, g := range n.globs {
		if g.Matches(folded) {
			return true
		}
	}
	return false
}

// fold is what names have in common that some server takes for one: letter
// case, blanks and controls around it, a NUL that ends it, and "_" for what
// PHP cannot have in a name.
func fold(name string) string {
	name, _, _ = strings.Cut(name, "\x00")
	name = strings.ToLower(strings.TrimFunc(name, func(r rune) bool { return r <= ' ' || r == 0x7f }))
	if base, _, indexed := strings.Cut(name, "["); indexed && strings.Contains(name, "]") {
		name = base
	}
	if strings.ContainsAny(name, ". [") {
		name = strings.NewReplacer(".", "_", " ", "_", "[", "_").Replace(name)
	}
	return name
}
