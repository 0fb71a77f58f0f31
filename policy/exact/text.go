package exact

import (
	"slices"
	"strings"
)

// Glob is a text in pieces: between two pieces stands any run of characters,
// also an empty one. One piece is a text without a star.
type Glob []string

// String writes the glob with its stars.
func (g Glob) String() string { return strings.Join(g, "*") }

// Fits tells whether all of text is of the glob's language.
func (g Glob) Fits(text string) bool {
	first, last := g[0], g[len(g)-1]
	if len(g) == 1 {
		return text == first
	}
	if len(text) < len(first)+len(last) || !strings.HasPrefix(text, first) || !strings.HasSuffix(text, last) {
		return false
	}
	text = text[len(first) : len(text)-len(last)]
	for _, piece := range g[1 : len(g)-1] {
		at := strings.Index(text, piece)
		if at < 0 {
			return false
		}
		text = text[at+len(piece):]
	}
	return true
}

// Limits of the search for texts. Beyond them it says that it is not
// complete.
const (
	maxGlobs  = 200
	maxStates = 4000
	maxVisits = 6
)

// Texts gives one text for every set of globs that some text fits together
// and no more of them, as far as there is one that is not taken. The texts
// are not empty. complete tells that no such set was left out.
func Texts(globs []Glob, taken func(text string) bool) (texts []string, complete bool) {
	globs = slices.Clone(globs)
	slices.SortFunc(globs, func(a, b Glob) int { return strings.Compare(a.String(), b.String()) })
	globs = slices.CompactFunc(globs, func(a, b Glob) bool { return slices.Equal(a, b) })
	fresh := freshRune(globs)
	if len(globs) > maxGlobs {
		return sampled(globs, fresh, taken), false
	}
	m := newMachine(globs, fresh)
	return m.run(taken)
}

// freshRune is a character that is in no glob.
func freshRune(globs []Glob) rune {
	all := ""
	for _, g := range globs {
		all += strings.Join(g, "")
	}
	for _, r := range "qxzjkvwybfgmpcdhlnrstuaeio0123456789-_" {
		if !strings.ContainsRune(all, r) {
			return r
		}
	}
	for r := 'ж'; ; r++ {
		if !strings.ContainsRune(all, r) {
			return r
		}
	}
}

// sampled tries each glob alone and with each of its ends in another's.
func sampled(globs []Glob, fresh rune, taken func(string) bool) []string {
	seen := map[string]bool{}
	var texts []string
	add := func(text string) {
		if text != "" && !seen[text] && !taken(text) {
			seen[text] = true
			texts = append(texts, text)
		}
	}
	add(strings.Repeat(string(fresh), 3))
	for _, g := range globs {
		add(strings.Join(g, string(fresh)))
	}
	return texts
}

// machine walks all globs at once, character by character.
type machine struct {
	// tokens of all globs, one behind the other; a star is -1. ends has for
	// each glob the position behind its last token.
	tokens   []rune
	starts   []int
	ends     []int
	alphabet []rune
	found    map[string][]string // texts by the globs that they fit
	order    []string
	cut      bool
}

const star = rune(-1)

func newMachine(globs []Glob, fresh rune) *machine {
	m := &machine{found: map[string][]string{}, alphabet: []rune{fresh}}
	for _, g := range globs {
		m.starts = append(m.starts, len(m.tokens))
		for i, piece := range g {
			if i > 0 {
				m.tokens = append(m.tokens, star)
			}
			for _, r := range piece {
				m.tokens = append(m.tokens, r)
				m.alphabet = append(m.alphabet, r)
			}
		}
		m.ends = append(m.ends, len(m.tokens))
		m.tokens = append(m.tokens, 0)
	}
	slices.Sort(m.alphabet[1:])
	m.alphabet = slices.Compact(m.alphabet)
	return m
}

type reached struct {
	at   []int // positions in tokens, sorted
	text string
}

func (m *machine) run(taken func(string) bool) (texts []string, complete bool) {
	visits := map[string]int{}
	queue := []reached{{at: m.closure(m.starts)}}
	for len(queue) > 0 {
		here := queue[0]
		queue = queue[1:]
		for _, r := range m.alphabet {
			next := reached{at: m.step(here.at, r), text: here.text + string(r)}
			key := positionsKey(next.at)
			if visits[key] == maxVisits {
				continue
			}
			if visits[key] == 0 && len(visits) == maxStates {
				m.cut = true
				continue
			}
			visits[key]++
			m.keep(next, taken)
			queue = append(queue, next)
		}
	}
	complete = !m.cut
	for _, fits := range m.order {
		if list := m.found[fits]; len(list) > 0 {
			texts = append(texts, plainest(list))
			continue
		}
		complete = complete && !m.many(fits, visits)
	}
	return texts, complete
}

// keep notes a text under the globs that it fits, unless it is taken.
func (m *machine) keep(r reached, taken func(string) bool) {
	var fits []int
	for _, end := range m.ends {
		if _, ok := slices.BinarySearch(r.at, end); ok {
			fits = append(fits, end)
		}
	}
	key := positionsKey(fits)
	list, known := m.found[key]
	if !known {
		m.order = append(m.order, key)
	}
	if len(list) < maxVisits && !taken(r.text) {
		list = append(list, r.text)
	}
	m.found[key] = list
}

// many tells whether texts were left out of which one may fit just these
// globs: some state of theirs was met as often as it is looked at.
func (m *machine) many(fits string, visits map[string]int) bool {
	for key, n := range visits {
		if n == maxVisits && m.fitsOf(key) == fits {
			return true
		}
	}
	return false
}

func (m *machine) fitsOf(key string) string {
	var fits []int
	for _, end := range m.ends {
		if strings.Contains(key, string(rune(end+1))) {
			fits = append(fits, end)
		}
	}
	return positionsKey(fits)
}

// positionsKey writes positions as characters, for maps.
func positionsKey(at []int) string {
	var b strings.Builder
	for _, p := range at {
		b.WriteRune(rune(p + 1))
	}
	return b.String()
}

// closure goes behind stars, which may be empty.
func (m *machine) closure(at []int) []int {
	all := slices.Clone(at)
	for i := 0; i < len(all); i++ {
		if m.tokens[all[i]] == star {
			all = append(all, all[i]+1)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func (m *machine) step(at []int, r rune) []int {
	var next []int
	for _, p := range at {
		switch m.tokens[p] {
		case star:
			next = append(next, p)
		case r:
			next = append(next, p+1)
		}
	}
	return m.closure(next)
}

// plainest chooses the text that has the fewest other readings.
func plainest(texts []string) string {
	best := texts[0]
	for _, text := range texts {
		if plain(text) && (!plain(best) || len(best) < 3 && len(text) == 3) {
			best = text
		}
	}
	return best
}

// plain tells whether a segment is read in one way only.
func plain(text string) bool {
	for i, r := range text {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-', r == '_', r == '.' && i > 0 && i < len(text)-1:
		default:
			return false
		}
	}
	return text != "" && !strings.Contains(text, "..")
}
