package policy

import "strings"

// tree finds rules by path. A path is walked segment by segment, so that a
// look-up costs what the path is long and not what rules there are. A nil
// tree is empty. It is immutable once built.
type tree struct {
	root node
}

// node is a place in the tree: what the segments before it have matched.
type node struct {
	literals map[string]*node
	globs    globSet
	free     *node
	// exact holds the rules whose pattern ends here, subtree those whose
	// pattern goes on with the subtree's end.
	exact, subtree *endpoint
}

// endpoints returns where p ends in the tree, making the way there. A pattern
// with a slash at its end ends twice: with the slash and without.
func (t *tree) endpoints(p Pattern) []*endpoint {
	n := &t.root
	for _, s := range p.segments {
		n = n.child(s)
	}
	if p.subtree {
		return []*endpoint{made(&n.subtree)}
	}
	found := []*endpoint{made(&n.exact)}
	if p.slash {
		found = append(found, made(&n.child(segment{kind: literal}).exact))
	}
	return found
}

func made(e **endpoint) *endpoint {
	if *e == nil {
		*e = new(endpoint)
	}
	return *e
}

func (n *node) child(s segment) *node {
	switch s.kind {
	case literal:
		c := n.literals[s.text]
		if c == nil {
			c = new(node)
			if n.literals == nil {
				n.literals = map[string]*node{}
			}
			n.literals[s.text] = c
		}
		return c
	case globbed:
		return n.globs.child(s.text, s.glob)
	default:
		if n.free == nil {
			n.free = new(node)
		}
		return n.free
	}
}

// each calls do for every endpoint of the tree.
func (n *node) each(do func(*endpoint)) {
	for _, e := range []*endpoint{n.exact, n.subtree} {
		if e != nil {
			do(e)
		}
	}
	for _, c := range n.literals {
		c.each(do)
	}
	for _, shape := range n.globs.shapes {
		for _, children := range shape.byEnds {
			for _, c := range children {
				c.node.each(do)
			}
		}
	}
	if n.free != nil {
		n.free.each(do)
	}
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
func (e *evaluation) best(nodes []*node, path rest, method int) bool {
	if path.done {
		return e.end(nodes, method, false) || e.end(nodes, method, true)
	}
	segment, after := path.next()
	var room [4]*node
	if next := literals(nodes, segment, room[:0]); len(next) > 0 && e.best(next, after, method) {
		return true
	}
	if next := globs(nodes, segment, room[:0]); len(next) > 0 && e.best(next, after, method) {
		return true
	}
	if next := frees(nodes, room[:0]); len(next) > 0 && e.best(next, after, method) {
		return true
	}
	return e.end(nodes, method, true)
}

func (e *evaluation) end(nodes []*node, method int, subtree bool) bool {
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
		if ruling := at.ruling(method); ruling != nil {
			e.apply(ruling)
			found = true
		}
	}
	return found
}

// all calls the query rules of every pattern that matches the path.
func (e *evaluation) all(nodes []*node, path rest) {
	for _, n := range nodes {
		e.queried(n.subtree)
	}
	if path.done {
		for _, n := range nodes {
			e.queried(n.exact)
		}
		return
	}
	segment, after := path.next()
	var room [4]*node
	next := literals(nodes, segment, room[:0])
	next = globs(nodes, segment, next)
	next = frees(nodes, next)
	if len(next) > 0 {
		e.all(next, after)
	}
}

func literals(nodes []*node, segment string, found []*node) []*node {
	for _, n := range nodes {
		if c := n.literals[segment]; c != nil {
			found = append(found, c)
		}
	}
	return found
}

func globs(nodes []*node, segment string, found []*node) []*node {
	for _, n := range nodes {
		if len(n.globs.shapes) > 0 {
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
