package policy

import (
	"hash/maphash"
	"strings"
)

// tree finds rules by path. A path is walked segment by segment, so that a
// look-up costs what the path is long and not what rules there are. A nil
// tree is empty. It is immutable once frozen.
//
// The steps by literal segments of all nodes are in one hash table: with many
// rules a look-up is the cache lines it touches, and a map in each node would
// touch many more.
type tree struct {
	root  node
	nodes []*node // all of them, while the tree grows
	// edges finds literal steps while the tree grows, slots once it is
	// frozen: hashed by node and segment, the next free slot on a collision.
	edges map[edge]*node
	slots []slot
	seed  maphash.Seed
}

// node is a place in the tree: what the segments before it have matched. It
// fills a cache line.
type node struct {
	// salt tells apart equal segments below different nodes.
	salt uint64
	// exact holds the rules whose pattern ends here, subtree those whose
	// pattern goes on with the subtree's end.
	exact, subtree *endpoint
	free           *node
	globs          *globSet
	literals       bool // there are literal steps from here
	// long is the literal that leads here, where a slot has no room for it.
	long string
}

type edge struct {
	from *node
	text string
}

// slot is a literal step. It fills a cache line, text and all.
type slot struct {
	hash     uint64
	from, to *node
	size     uint8 // of text; tooLong where to has it
	text     [39]byte
}

const tooLong = 255

func newSlot(hash uint64, step edge, to *node) slot {
	s := slot{hash: hash, from: step.from, to: to, size: tooLong}
	if len(step.text) <= len(s.text) {
		s.size = uint8(copy(s.text[:], step.text))
	} else {
		to.long = step.text
	}
	return s
}

func (s *slot) is(hash uint64, from *node, text string) bool {
	switch {
	case s.hash != hash || s.from != from:
		return false
	case s.size == tooLong:
		return s.to.long == text
	default:
		return string(s.text[:s.size]) == text
	}
}

func newTree() *tree {
	t := &tree{edges: map[edge]*node{}, seed: maphash.MakeSeed()}
	t.nodes = []*node{&t.root}
	return t
}

// endpoints returns where p ends in the tree, making the way there. A pattern
// with a slash at its end ends twice: with the slash and without.
func (t *tree) endpoints(p Pattern) []*endpoint {
	n := &t.root
	for _, s := range p.segments {
		n = t.child(n, s)
	}
	if p.subtree {
		return []*endpoint{made(&n.subtree)}
	}
	found := []*endpoint{made(&n.exact)}
	if p.slash {
		found = append(found, made(&t.child(n, segment{kind: literal}).exact))
	}
	return found
}

func made(e **endpoint) *endpoint {
	if *e == nil {
		*e = new(endpoint)
	}
	return *e
}

// child returns the node behind a step from n, making it if it is new.
func (t *tree) child(n *node, s segment) *node {
	switch s.kind {
	case literal:
		step := edge{n, s.text}
		if t.edges[step] == nil {
			n.literals = true
			t.edges[step] = t.add(new(node))
		}
		return t.edges[step]
	case globbed:
		if n.globs == nil {
			n.globs = new(globSet)
		}
		c, made := n.globs.child(s.text, *s.glob)
		if made {
			t.add(c)
		}
		return c
	default:
		if n.free == nil {
			n.free = t.add(new(node))
		}
		return n.free
	}
}

func (t *tree) add(n *node) *node {
	n.salt = uint64(len(t.nodes)) * 0x9E3779B97F4A7C15
	t.nodes = append(t.nodes, n)
	return n
}

// freeze ends the tree's growth, and calls settle for each endpoint.
func (t *tree) freeze(settle func(*endpoint)) {
	size := 4
	for size < 2*len(t.edges) {
		size *= 2
	}
	t.slots = make([]slot, size)
	for _, n := range t.nodes {
		if n.exact != nil {
			settle(n.exact)
		}
		if n.subtree != nil {
			settle(n.subtree)
		}
	}
	for step, to := range t.edges {
		hash := step.from.salt ^ maphash.String(t.seed, step.text)
		at := hash & uint64(size-1)
		for t.slots[at].to != nil {
			at = (at + 1) & uint64(size-1)
		}
		t.slots[at] = newSlot(hash, step, to)
	}
	t.nodes, t.edges = nil, nil
}

// literal returns the node behind a literal step, or nil.
func (t *tree) literal(n *node, text string, hash uint64) *node {
	hash ^= n.salt
	mask := uint64(len(t.slots) - 1)
	for at := hash & mask; t.slots[at].to != nil; at = (at + 1) & mask {
		if s := &t.slots[at]; s.is(hash, n, text) {
			return s.to
		}
	}
	return nil
}

// rest is what of a path is still to be walked. The path "/" has no segment;
// "/a/" has two, the second empty.
type rest struct {
	path string
	done bool
}

// walk begins with the whole of a path, which starts with "/".
func walk(path string) rest {
	return rest{path: path[1:], done: len(path) == 1}
}

func (r rest) next() (string, rest) {
	if at := strings.IndexByte(r.path, '/'); at >= 0 {
		return r.path[:at], rest{path: r.path[at+1:]}
	}
	return r.path, rest{done: true}
}

// best applies the most specific endpoints for a path that have a ruling for
// the method, and tells whether there were any. nodes are places that equally
// specific segments have led to: several only where globs tie.
//
// The most specific is found by trying, at each segment, literals before
// globs before `*` before the subtree's end (contract, section 3).
func (e *evaluation) best(t *tree, nodes []*node, path rest, method int) bool {
	if path.done {
		return e.end(nodes, method, false) || e.end(nodes, method, true)
	}
	segment, after := path.next()
	var room [4]*node
	if next := t.literals(nodes, segment, room[:0]); len(next) > 0 && e.best(t, next, after, method) {
		return true
	}
	if next := globs(nodes, segment, room[:0]); len(next) > 0 && e.best(t, next, after, method) {
		return true
	}
	if next := frees(nodes, room[:0]); len(next) > 0 && e.best(t, next, after, method) {
		return true
	}
	return e.end(nodes, method, true)
}

func (e *evaluation) end(nodes []*node, method int, subtree bool) bool {
	if subtree && e.exactly {
		return false
	}
	found := false
	for _, n := range nodes {
		at := n.exact
		if subtree {
			at = n.subtree
		}
		if at == nil {
			continue
		}
		if at.named != nil {
			e.branches = true
		}
		ruling := at.ruling(method)
		if ruling == nil {
			continue
		}
		e.apply(ruling)
		if ruling.expired(e.request.Now) {
			// What would hold without it holds as well.
			if at.named == nil || ruling == &at.unnamed || at.unnamed.first == nil {
				continue
			}
			e.apply(&at.unnamed)
			if at.unnamed.expired(e.request.Now) {
				continue
			}
		}
		found = true
	}
	return found
}

// all adds the query rules of every pattern that matches the path.
func (e *evaluation) all(t *tree, nodes []*node, path rest) {
	if !e.exactly {
		for _, n := range nodes {
			e.queried(n.subtree)
		}
	}
	if path.done {
		for _, n := range nodes {
			e.queried(n.exact)
		}
		return
	}
	segment, after := path.next()
	var room [4]*node
	next := t.literals(nodes, segment, room[:0])
	next = globs(nodes, segment, next)
	next = frees(nodes, next)
	if len(next) > 0 {
		e.all(t, next, after)
	}
}

func (t *tree) literals(nodes []*node, segment string, found []*node) []*node {
	hash, hashed := uint64(0), false
	for _, n := range nodes {
		if !n.literals {
			continue
		}
		if !hashed {
			hash, hashed = maphash.String(t.seed, segment), true
		}
		if c := t.literal(n, segment, hash); c != nil {
			found = append(found, c)
		}
	}
	return found
}

func globs(nodes []*node, segment string, found []*node) []*node {
	for _, n := range nodes {
		if n.globs != nil {
			found = n.globs.find(segment, found)
		}
	}
	return found
}

func frees(nodes []*node, found []*node) []*node {
	for _, n := range nodes {
		if n.free != nil {
			found = append(found, n.free)
		}
	}
	return found
}
