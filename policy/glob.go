package policy

import "strings"

// glob is a text in which `*` stands for any run of characters, also an
// empty one, cut at its stars.
type glob struct {
	prefix, suffix string
	middle         []string
}

// newGlob cuts text at its stars; each piece goes through piece, which
// decodes and folds it. The text must have a star.
func newGlob(text string, piece func(string) string) glob {
	parts := strings.Split(text, "*")
	g := glob{prefix: piece(parts[0]), suffix: piece(parts[len(parts)-1])}
	for _, part := range parts[1 : len(parts)-1] {
		if part != "" {
			g.middle = append(g.middle, piece(part))
		}
	}
	return g
}

// String writes the glob with its stars.
func (g *glob) String() string {
	text := g.prefix + "*"
	for _, part := range g.middle {
		text += part + "*"
	}
	return text + g.suffix
}

// matches tells whether all of s fits.
func (g *glob) matches(s string) bool {
	if len(s) < len(g.prefix)+len(g.suffix) || !strings.HasPrefix(s, g.prefix) || !strings.HasSuffix(s, g.suffix) {
		return false
	}
	return g.middleFits(s)
}

// middleFits is matches for an s whose ends are known to fit.
func (g *glob) middleFits(s string) bool {
	if len(g.middle) == 0 {
		return true
	}
	s = s[len(g.prefix) : len(s)-len(g.suffix)]
	for _, part := range g.middle {
		at := strings.Index(s, part)
		if at < 0 {
			return false
		}
		s = s[at+len(part):]
	}
	return true
}

// globSet finds the globs that a segment fits without trying each: they are
// kept by the lengths of their ends, and within those by the ends
// themselves. Its zero value is empty.
type globSet struct {
	shapes []globShape
}

type globShape struct {
	prefix, suffix int
	byEnds         map[globEnds][]globChild
}

type globEnds struct{ prefix, suffix string }

type globChild struct {
	glob glob
	text string
	to   spot
}

// child returns the spot below the glob that is written as text, for the
// caller to fill where it is new.
func (s *globSet) child(text string, g glob) *spot {
	shape := s.shape(len(g.prefix), len(g.suffix))
	ends := globEnds{g.prefix, g.suffix}
	children := shape.byEnds[ends]
	for i := range children {
		if children[i].text == text {
			return &children[i].to
		}
	}
	children = append(children, globChild{glob: g, text: text})
	shape.byEnds[ends] = children
	return &children[len(children)-1].to
}

func (s *globSet) shape(prefix, suffix int) *globShape {
	for i := range s.shapes {
		if s.shapes[i].prefix == prefix && s.shapes[i].suffix == suffix {
			return &s.shapes[i]
		}
	}
	s.shapes = append(s.shapes, globShape{prefix: prefix, suffix: suffix, byEnds: map[globEnds][]globChild{}})
	return &s.shapes[len(s.shapes)-1]
}

// move tells the globs where the spots below them have moved to.
func (s *globSet) move(moved []spot) {
	for _, shape := range s.shapes {
		for _, children := range shape.byEnds {
			for i := range children {
				children[i].to = moved[children[i].to]
			}
		}
	}
}

// find appends the spots below the globs that segment fits to found.
func (s *globSet) find(segment string, found []spot) []spot {
	for i := range s.shapes {
		shape := &s.shapes[i]
		if len(segment) < shape.prefix+shape.suffix {
			continue
		}
		ends := globEnds{segment[:shape.prefix], segment[len(segment)-shape.suffix:]}
		children := shape.byEnds[ends]
		for j := range children {
			if children[j].glob.middleFits(segment) {
				found = append(found, children[j].to)
			}
		}
	}
	return found
}
