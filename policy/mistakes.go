package policy

import (
	"errors"
	"fmt"
	"strings"
)

// mistakes collects what is wrong with a configuration, so that one run
// shows all of it.
type mistakes struct {
	found []error
}

// place is where a mistake is: FILE:LINE, or for a policy that came as JSON
// the element's name there.
type place struct {
	pos     Position
	element string
}

func (p place) String() string {
	if p.pos != (Position{}) {
		return p.pos.String()
	}
	return p.element
}

func at(pos Position, format string, args ...any) place {
	if pos != (Position{}) {
		return place{pos: pos}
	}
	return place{pos: pos, element: fmt.Sprintf(format, args...)}
}

// add notes that word is wrong at p; problem says how, and how to mend it.
func (m *mistakes) add(p place, word, problem string, args ...any) {
	text := fmt.Sprintf(problem, args...)
	if word != "" {
		text = "`" + word + "`: " + text
	}
	m.found = append(m.found, errors.New(p.String()+": "+text))
}

// unknown notes a word that is not one of known.
func (m *mistakes) unknown(p place, word, what string, known []string) {
	if near := Nearest(word, known); near != "" {
		m.add(p, word, "no such %s; did you mean `%s`? Expected one of %s", what, near, quoteList(known))
		return
	}
	m.add(p, word, "no such %s; expected one of %s", what, quoteList(known))
}

func (m *mistakes) err() error { return errors.Join(m.found...) }

func quoteList(words []string) string {
	return "`" + strings.Join(words, "`, `") + "`"
}
