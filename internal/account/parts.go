package account

import "strings"

// NameParts are the parts of a name as forms ask for them.
type NameParts struct {
	Title  string `json:"title,omitempty"`
	First  string `json:"first,omitempty"`
	Middle string `json:"middle,omitempty"`
	Last   string `json:"last,omitempty"`
}

// Whole is the name that the parts make, without the title.
func (p NameParts) Whole() string {
	var words []string
	for _, part := range []string{p.First, p.Middle, p.Last} {
		if part = strings.TrimSpace(part); part != "" {
			words = append(words, part)
		}
	}
	return strings.Join(words, " ")
}

// Of are the parts of a name: p where they still make it up, and otherwise a
// guess, by which the last word is the surname. A source may have given the
// name, or changed it, as one.
func (p NameParts) Of(name string) NameParts {
	if p.Whole() == name {
		return p
	}
	words := strings.Fields(name)
	guess := NameParts{Title: p.Title}
	switch n := len(words); n {
	case 0:
	case 1:
		guess.First = words[0]
	default:
		guess.First, guess.Middle, guess.Last = words[0], strings.Join(words[1:n-1], " "), words[n-1]
	}
	return guess
}
