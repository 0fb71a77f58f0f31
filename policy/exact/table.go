package exact

import (
	"cmp"
	"encoding/binary"
	"maps"
	"slices"
)

// Kind is what a segment of a pattern matches.
type Kind int

// The kinds, the most specific first.
const (
	Literal Kind = iota
	Globbed
	Free
)

// Segment is one segment of a pattern: the text of a literal, or the pieces
// of a glob. A free one has neither.
type Segment struct {
	Kind Kind
	Text string
	Glob Glob
}

// Rule is one pattern of one rule.
type Rule struct {
	Segments []Segment
	// Subtree is set where the pattern goes on with the subtree's end, Slash
	// where it ends in a slash and matches with and without it.
	Subtree, Slash bool
	// Methods has a bit for each method that it names, by an order that the
	// caller keeps for all of a Table; 0 means all methods.
	Methods uint64
	// Says stands for what the rule asks for. Rules with one number are
	// alike; the caller finds out in which rule it is interested.
	Says int32
	// Passing is set for a rule that some day weakens nothing any more: what
	// stands behind it then holds as well.
	Passing bool
}

// Table keeps tries, each shape once. Its zero value is not ready; use
// NewTable. It belongs to one goroutine.
type Table struct {
	scripts []Glob
	nodes   []node
	byNode  map[string]int32
	ends    []End
	byEnd   map[string]int32
}

// End is what rules of one pattern say, in the order of Says.
type End []Saying

// Saying is what one of them says, for which methods.
type Saying struct {
	Methods uint64
	Says    int32
	Passing bool
}

// Ruling gives what holds for one method: rules that name it beat those that
// name none. It is empty where none is for the method.
func (e End) Ruling(method int) []int32 {
	var named, unnamed []int32
	for _, s := range e {
		switch {
		case s.Methods == 0:
			unnamed = append(unnamed, s.Says)
		case s.Methods&(1<<method) != 0:
			named = append(named, s.Says)
		}
	}
	if len(named) > 0 {
		return named
	}
	return unnamed
}

// rulesAll tells whether there is a ruling for every method.
func (e End) rulesAll() bool {
	return slices.ContainsFunc(e, func(s Saying) bool { return s.Methods == 0 && !s.Passing })
}

// none is the node or the end that is not there.
const none int32 = -1

// node is a place in a trie. Equal ones have one number.
type node struct {
	literals map[string]int32
	globs    []globStep
	free     int32
	// exact and subtree are ends.
	exact, subtree int32
	// scripted is set where some pattern below ends in a segment that may be
	// a script.
	scripted bool
}

type globStep struct {
	glob Glob
	to   int32
}

// NewTable returns an empty table. scripts are what any of its tries' sites
// takes for a script in a path.
func NewTable(scripts []Glob) *Table {
	return &Table{scripts: scripts, byNode: map[string]int32{}, byEnd: map[string]int32{}}
}

// End gives what stands at an end of a Cell.
func (t *Table) End(id int32) End { return t.ends[id] }

// growing is a node while its trie grows.
type growing struct {
	literals       map[string]*growing
	globs          map[string]*growing
	pieces         map[string]Glob
	free           *growing
	exact, subtree End
}

// Builder makes a trie of rules that come one by one.
type Builder struct {
	table *Table
	root  *growing
}

// Build begins a trie.
func (t *Table) Build() *Builder { return &Builder{table: t} }

// Add adds a rule. Its segments are not kept.
func (b *Builder) Add(r Rule) {
	if b.root == nil {
		b.root = &growing{}
	}
	n := b.root
	for _, s := range r.Segments {
		n = n.child(s)
	}
	saying := Saying{r.Methods, r.Says, r.Passing}
	if r.Subtree {
		n.subtree = append(n.subtree, saying)
		return
	}
	n.exact = append(n.exact, saying)
	if r.Slash {
		slash := n.child(Segment{Kind: Literal})
		slash.exact = append(slash.exact, saying)
	}
}

// Trie returns the root, or none where no rule was added.
func (b *Builder) Trie() int32 {
	if b.root == nil {
		return none
	}
	return b.table.freeze(b.root)
}

func (g *growing) child(s Segment) *growing {
	step := func(children *map[string]*growing, text string) *growing {
		if *children == nil {
			*children = map[string]*growing{}
		}
		n, ok := (*children)[text]
		if !ok {
			n = &growing{}
			(*children)[text] = n
		}
		return n
	}
	switch s.Kind {
	case Literal:
		return step(&g.literals, s.Text)
	case Globbed:
		text := s.Glob.String()
		if g.pieces == nil {
			g.pieces = map[string]Glob{}
		}
		g.pieces[text] = s.Glob
		return step(&g.globs, text)
	default:
		if g.free == nil {
			g.free = &growing{}
		}
		return g.free
	}
}

// freeze gives a grown node its number: that of an equal one, if there is
// one. Children come first.
func (t *Table) freeze(g *growing) int32 {
	n := node{free: none, exact: t.end(g.exact), subtree: t.end(g.subtree)}
	var key []byte
	number := func(n int32) { key = binary.AppendVarint(key, int64(n)) }
	text := func(s string) { key = append(binary.AppendUvarint(key, uint64(len(s))), s...) }
	number(n.exact)
	number(n.subtree)
	for _, glob := range slices.Sorted(maps.Keys(g.globs)) {
		below := g.globs[glob]
		to := t.freeze(below)
		n.globs = append(n.globs, globStep{g.pieces[glob], to})
		n.scripted = n.scripted || t.nodes[to].scripted || t.nodes[to].exact != none && len(t.scripts) > 0
		number(int32(len(g.pieces[glob])))
		text(glob)
		number(to)
	}
	if g.free != nil {
		n.free = t.freeze(g.free)
		n.scripted = n.scripted || t.nodes[n.free].scripted
	}
	number(n.free)
	if len(g.literals) > 0 {
		n.literals = make(map[string]int32, len(g.literals))
	}
	for _, literal := range slices.Sorted(maps.Keys(g.literals)) {
		to := t.freeze(g.literals[literal])
		n.literals[literal] = to
		n.scripted = n.scripted || t.nodes[to].scripted || t.nodes[to].exact != none && fitsAny(t.scripts, literal)
		text(literal)
		number(to)
	}
	id, known := t.byNode[string(key)]
	if !known {
		id = int32(len(t.nodes))
		t.nodes = append(t.nodes, n)
		t.byNode[string(key)] = id
	}
	return id
}

func (t *Table) end(e End) int32 {
	if len(e) == 0 {
		return none
	}
	slices.SortFunc(e, func(a, b Saying) int {
		return cmp.Or(cmp.Compare(a.Says, b.Says), cmp.Compare(a.Methods, b.Methods))
	})
	e = slices.Compact(e)
	var key []byte
	for _, s := range e {
		key = binary.AppendUvarint(binary.AppendVarint(key, int64(s.Says)), s.Methods)
	}
	id, known := t.byEnd[string(key)]
	if !known {
		id = int32(len(t.ends))
		t.ends = append(t.ends, e)
		t.byEnd[string(key)] = id
	}
	return id
}

func fitsAny(globs []Glob, text string) bool {
	return slices.ContainsFunc(globs, func(g Glob) bool { return g.Fits(text) })
}
