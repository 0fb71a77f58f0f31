package exact

import (
	"maps"
	"slices"
	"strings"
)

// Side is one policy of a walk.
type Side struct {
	// Paths and Queries are tries of the rules without and with a query
	// pattern.
	Paths, Queries int32
	// Scripts and ScriptDirs are what the site takes for a script: globs of
	// a segment, and directories, in segments, below which every segment is.
	Scripts    []Glob
	ScriptDirs [][]string
}

// Cell is paths of which there is one thing to say: Path is one of them.
type Cell struct {
	Path  string
	Sides []Here
}

// Here is what one policy says of a cell.
type Here struct {
	// LookUps are decided each by itself and hold together: of a path with a
	// slash at its end there are two.
	LookUps []LookUp
	// Scripts are look-ups of scripts in the path, for exactly them: where
	// none rules, nothing is said.
	Scripts []LookUp
	// Queries are the ends of all query rules whose paths match; Table.End.
	Queries []int32
}

// LookUp is what may decide, the most specific first. Each is the ends of
// patterns that tie. Where none has a ruling, the default holds.
type LookUp [][]int32

// Found is a verdict about the paths of a cell.
type Found[V any] struct {
	// Path is one of them.
	Path    string
	Verdict V
}

// Options of a walk.
type Options struct {
	// Deep keeps what is less specific than a ruling for every method, for
	// whoever asks what would hold without it.
	Deep bool
	// Same tells that cells of which all sides say the same are of no
	// interest, nor what is below.
	Same bool
	// Budget bounds the steps; 0 means 20 million.
	Budget int
}

const defaultBudget = 20_000_000

// Walk judges every path by all sides and returns what was found, in an order
// that depends on nothing else. judge is called once for cells that are
// alike; it says nothing by returning nothing. complete is false where paths
// were left out: there were too many, or globs that are too tangled.
func Walk[V any](t *Table, sides []Side, o Options, judge func(Cell) []V) (found []Found[V], complete bool) {
	w := &walker[V]{table: t, sides: sides, o: o, judge: judge, complete: true,
		states: map[string][]Found[V]{}, cells: map[string][]V{}, texts: map[string]texts{}}
	if w.o.Budget == 0 {
		w.o.Budget = defaultBudget
	}
	start := state{}
	for _, s := range sides {
		at := place{dirs: s.ScriptDirs}
		if s.Paths != none {
			at.paths = []step{{nodes: []int32{s.Paths}}}
		}
		if s.Queries != none {
			at.queries = []int32{s.Queries}
		}
		start = append(start, at)
	}
	found = w.explore(start, "")
	for i := range found {
		if found[i].Path == "" {
			found[i].Path = "/"
		}
	}
	return found, w.complete
}

// None is the trie of no rules.
const None = none

// state is where all sides are behind some segments.
type state []place

// place is where one side is.
type place struct {
	// paths are, the most specific first, nodes that tie, or ends.
	paths []step
	// queries are nodes, asked the ends of subtrees on the way.
	queries, asked []int32
	// scripts are look-ups of scripts on the way, each written as a key.
	scripts []string
	// dirs are the script directories that the way leads into, without the
	// segments behind it; an empty one is around it.
	dirs [][]string
}

type step struct {
	nodes, ends []int32
}

type texts struct {
	list     []string
	complete bool
}

type walker[V any] struct {
	table    *Table
	sides    []Side
	o        Options
	judge    func(Cell) []V
	states   map[string][]Found[V]
	cells    map[string][]V
	texts    map[string]texts
	complete bool
}

// explore judges the paths that end here and all that go on. What it finds is
// named by what comes behind here, since other ways lead here too.
func (w *walker[V]) explore(s state, path string) []Found[V] {
	key := s.key(path == "")
	if found, ok := w.states[key]; ok {
		return found
	}
	found := w.end(s, path)
	if s.open() {
		fresh, literals := w.alphabet(s)
		tried := map[string]bool{}
		for i, text := range append(fresh, literals...) {
			if w.o.Budget--; w.o.Budget < 0 {
				w.complete = false
				break
			}
			next := w.step(s, text)
			if w.o.Same && next.same() {
				continue
			}
			if i < len(fresh) {
				// Texts that stand for all that no rule names need no example
				// each.
				at := next.key(false)
				if tried[at] {
					continue
				}
				tried[at] = true
			}
			for _, f := range w.explore(next, path+"/"+text) {
				found = append(found, Found[V]{"/" + text + f.Path, f.Verdict})
			}
		}
	}
	w.states[key] = found
	return found
}

// end judges the paths that end here, without and with a slash.
func (w *walker[V]) end(s state, path string) []Found[V] {
	cell := Cell{Path: path}
	if path == "" {
		cell.Path = "/"
	}
	for _, p := range s {
		cell.Sides = append(cell.Sides, w.here(p))
	}
	found := w.verdicts(cell, "")
	if path == "" {
		return found
	}
	slash := Cell{Path: path + "/"}
	for i, p := range s {
		next := w.here(w.stepSide(p, "", i))
		next.LookUps = append(next.LookUps, cell.Sides[i].LookUps...)
		next.Queries = union(next.Queries, cell.Sides[i].Queries)
		slash.Sides = append(slash.Sides, next)
	}
	return append(found, w.verdicts(slash, "/")...)
}

func (w *walker[V]) verdicts(c Cell, behind string) []Found[V] {
	key := c.key()
	verdicts, known := w.cells[key]
	if !known {
		if !w.o.Same || !c.same() {
			verdicts = w.judge(c)
		}
		w.cells[key] = verdicts
	}
	var found []Found[V]
	for _, v := range verdicts {
		found = append(found, Found[V]{behind, v})
	}
	return found
}

// here is what a side says of the path that ends at a place.
func (w *walker[V]) here(p place) Here {
	h := Here{LookUps: []LookUp{w.lookUp(p, false)}, Queries: slices.Clone(p.asked)}
	for _, n := range p.queries {
		for _, end := range []int32{w.table.nodes[n].exact, w.table.nodes[n].subtree} {
			if end != none {
				h.Queries = append(h.Queries, end)
			}
		}
	}
	h.Queries = union(h.Queries, nil)
	for _, key := range p.scripts {
		h.Scripts = append(h.Scripts, readLookUp(key))
	}
	return h
}

// lookUp lists what may decide about the path that ends here; exactly leaves
// subtrees out.
func (w *walker[V]) lookUp(p place, exactly bool) LookUp {
	var l LookUp
	ruled := 0
	add := func(ends []int32) bool {
		if len(ends) > 0 {
			l = append(l, ends)
			if w.rulesAll(ends) {
				ruled++
			}
		}
		return w.enough(ruled)
	}
	for _, at := range p.paths {
		if at.nodes == nil {
			if !exactly && add(at.ends) {
				break
			}
			continue
		}
		if add(w.endsOf(at.nodes, false)) || !exactly && add(w.endsOf(at.nodes, true)) {
			break
		}
	}
	return l
}

// enough tells whether nothing behind so many rulings for every method is of
// interest.
func (w *walker[V]) enough(ruled int) bool {
	if w.o.Deep {
		return ruled > 1
	}
	return ruled > 0
}

func (w *walker[V]) rulesAll(ends []int32) bool {
	return slices.ContainsFunc(ends, func(e int32) bool { return w.table.ends[e].rulesAll() })
}

func (w *walker[V]) endsOf(nodes []int32, subtree bool) []int32 {
	var ends []int32
	for _, n := range nodes {
		end := w.table.nodes[n].exact
		if subtree {
			end = w.table.nodes[n].subtree
		}
		if end != none {
			ends = append(ends, end)
		}
	}
	return union(ends, nil)
}

// open tells whether it matters how a path goes on.
func (s state) open() bool {
	return slices.ContainsFunc(s, func(p place) bool {
		return len(p.queries) > 0 || slices.ContainsFunc(p.paths, func(at step) bool { return at.nodes != nil })
	})
}

// alphabet lists texts for the next segment, one for each way that it may go:
// fresh ones that are no literal, and the literals.
func (w *walker[V]) alphabet(s state) (fresh, all []string) {
	literals := map[string]bool{}
	var globs []Glob
	scripted := false
	for _, p := range s {
		nodes := slices.Clone(p.queries)
		for _, at := range p.paths {
			nodes = append(nodes, at.nodes...)
		}
		for _, id := range nodes {
			n := &w.table.nodes[id]
			for text := range n.literals {
				literals[text] = true
			}
			for _, g := range n.globs {
				globs = append(globs, g.glob)
			}
			scripted = scripted || n.scripted || n.exact != none
		}
		for _, dir := range p.dirs {
			if len(dir) > 0 {
				literals[dir[0]] = true
			}
		}
	}
	if scripted {
		globs = append(globs, w.table.scripts...)
	}
	delete(literals, "")
	return w.fresh(globs, literals), slices.Sorted(maps.Keys(literals))
}

// fresh are texts that are no literal.
func (w *walker[V]) fresh(globs []Glob, literals map[string]bool) []string {
	if len(globs) == 0 {
		for _, letter := range "qxzjkvwybfgmpcdhlnrstuaeio0123456789" {
			if text := strings.Repeat(string(letter), 3); !literals[text] {
				return []string{text}
			}
		}
	}
	taken := func(text string) bool { return literals[text] }
	var key strings.Builder
	for _, g := range globs {
		key.WriteString(g.String())
		key.WriteByte('/')
	}
	found, known := w.texts[key.String()]
	if !known {
		found.list, found.complete = Texts(globs, func(string) bool { return false })
		w.texts[key.String()] = found
	}
	if slices.ContainsFunc(found.list, taken) {
		found.list, found.complete = Texts(globs, taken)
	}
	w.complete = w.complete && found.complete
	return found.list
}
