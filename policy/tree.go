package policy

import (
	"hash/maphash"
	"slices"
	"strings"
)

// tree finds rules by path. A path is walked segment by segment, so that a
// look-up costs what the path is long and not what rules there are. It is
// immutable once frozen.
//
// With many rules a look-up is the cache lines that it touches: a step by a
// literal segment touches one of the index and one of the nodes, and where one
// plain rule ends there, which is what most nodes are, nothing else is read.
type tree struct {
	nodes []node // the first is the root
	// index finds literal steps by the hash of node and segment; the next free
	// slot on a collision.
	index []slot
	seed  maphash.Seed
	// steps are those of nodes with others than literal ones. The first is
	// empty, and so are the first of verdicts.
	steps     []steps
	verdicts  []verdict
	endpoints []endpoint
	long      map[spot]string // literals for which a node has no room
	edges     map[edge]spot   // literal steps while the tree grows
	queried   bool            // set where its rules have query patterns
}

// spot is a node's place in its tree. Zero is the root, to which no step
// leads.
type spot uint32

// node is a place in the tree: what the segments before it have matched. It
// fills a cache line, with the literal that leads to it.
type node struct {
	from     spot
	steps    uint32 // 0 for none but literal ones
	exact    stop   // of patterns that end here
	subtree  stop   // of those that go on with the subtree's end
	literals bool   // there are literal steps from here
	size     uint8  // of text; tooLong where it is elsewhere
	text     [38]byte
}

const tooLong = 255

// stop is what is said where a pattern ends: nothing, or what one plain rule
// says, or from `several` on an endpoint.
type stop struct{ kind, rule uint32 }

// several begins the kinds of a stop that are endpoints. alone is the kind of
// a stop with one rule while the tree grows, a verdict's once it is frozen.
const (
	several = 1 << 31
	alone   = 1
)

// verdict is what a rule says that has neither methods nor a block.
type verdict struct {
	levels       LevelSet
	public, deny bool
}

// steps are those by segments that are no literals.
type steps struct {
	free  spot
	globs *globSet
}

type edge struct {
	from spot
	text string
}

// slot is a literal step: a part of its hash, and where it leads.
type slot struct {
	tag uint32
	to  spot
}

func newTree() *tree {
	return &tree{
		nodes: make([]node, 1), steps: make([]steps, 1), verdicts: make([]verdict, 1), edges: map[edge]spot{}, long: map[spot]string{}, seed: maphash.MakeSeed(),
	}
}

// add has a rule end where its pattern does, making the way there. A pattern
// with a slash at its end ends twice: with the slash and without.
func (t *tree) add(rules []Rule, rule uint32) {
	p := &rules[rule].pattern
	n := spot(0)
	for _, s := range p.segments {
		n = t.child(n, s)
	}
	if p.subtree {
		t.nodes[n].subtree = t.joined(t.nodes[n].subtree, rules, rule)
		return
	}
	t.nodes[n].exact = t.joined(t.nodes[n].exact, rules, rule)
	if p.slash {
		n = t.child(n, segment{kind: literal})
		t.nodes[n].exact = t.joined(t.nodes[n].exact, rules, rule)
	}
}

// joined is a stop with one rule more.
func (t *tree) joined(at stop, rules []Rule, rule uint32) stop {
	switch {
	case at.kind == 0:
		return stop{alone, rule}
	case at.kind == alone:
		at = t.several(&rules[at.rule])
	}
	e := &t.endpoints[at.kind-several]
	e.rules = append(e.rules, &rules[rule])
	return at
}

func (t *tree) several(first *Rule) stop {
	t.endpoints = append(t.endpoints, endpoint{rules: []*Rule{first}})
	return stop{kind: several + uint32(len(t.endpoints)-1)}
}

// child returns the node behind a step from n, making it if it is new.
func (t *tree) child(n spot, s segment) spot {
	if s.kind == literal {
		step := edge{n, s.text}
		to, known := t.edges[step]
		if !known {
			t.nodes[n].literals = true
			to = t.grow(n, s.text)
			t.edges[step] = to
		}
		return to
	}
	if t.nodes[n].steps == 0 {
		t.steps = append(t.steps, steps{})
		t.nodes[n].steps = uint32(len(t.steps) - 1)
	}
	from := &t.steps[t.nodes[n].steps]
	switch {
	case s.kind != globbed:
		if from.free == 0 {
			from.free = t.grow(n, "")
		}
		return from.free
	case from.globs == nil:
		from.globs = new(globSet)
	}
	to := from.globs.child(s.text, *s.glob)
	if *to == 0 {
		*to = t.grow(n, "")
	}
	return *to
}

func (t *tree) grow(from spot, text string) spot {
	n, at := node{from: from, size: tooLong}, spot(len(t.nodes))
	if len(text) <= len(n.text) {
		n.size = uint8(copy(n.text[:], text))
	} else {
		t.long[at] = text
	}
	t.nodes = append(t.nodes, n)
	return at
}

// freeze ends the tree's growth.
func (t *tree) freeze(rules []Rule, methods int) {
	known := map[verdict]uint32{}
	for i := range t.nodes {
		n := &t.nodes[i]
		n.exact, n.subtree = t.settled(n.exact, rules, known), t.settled(n.subtree, rules, known)
	}
	for i := range t.endpoints {
		e := &t.endpoints[i]
		slices.SortFunc(e.rules, compareRules)
		if !t.queried {
			e.settle(methods)
		}
	}
	t.nodes, t.endpoints = slices.Clip(slices.Clone(t.nodes)), slices.Clip(t.endpoints)
	t.index = make([]slot, len(t.edges)*3/2+1)
	for step, to := range t.edges {
		hash := salted(maphash.String(t.seed, step.text), step.from)
		at := t.slot(hash)
		for t.index[at].to != 0 {
			at = t.after(at)
		}
		t.index[at] = slot{uint32(hash), to}
	}
	t.edges = nil
}

// settled is a stop once all rules are in. known are the verdicts so far.
func (t *tree) settled(at stop, rules []Rule, known map[verdict]uint32) stop {
	if at.kind != alone {
		return at
	}
	r := &rules[at.rule]
	if t.queried || r.mask != 0 || r.ruleBlock != &noBlock {
		return t.several(r)
	}
	v := verdict{r.levels, r.verb == VerbPublic, r.verb == VerbDeny}
	if known[v] == 0 {
		t.verdicts = append(t.verdicts, v)
		known[v] = uint32(len(t.verdicts) - 1)
	}
	at.kind = known[v]
	return at
}

// salted tells apart equal segments below different nodes.
func salted(hash uint64, from spot) uint64 { return hash ^ uint64(from)*0x9E3779B97F4A7C15 }

// slot is where a step with this hash is looked for first, and after where
// next. There is always one that is free.
func (t *tree) slot(hash uint64) uint64 { return hash >> 32 * uint64(len(t.index)) >> 32 }

func (t *tree) after(at uint64) uint64 {
	if at++; at < uint64(len(t.index)) {
		return at
	}
	return 0
}

// literal returns the node behind a literal step, or zero.
func (t *tree) literal(from spot, text string, hash uint64) spot {
	hash = salted(hash, from)
	for at := t.slot(hash); t.index[at].to != 0; at = t.after(at) {
		if s := t.index[at]; s.tag == uint32(hash) && t.leads(from, text, s.to) {
			return s.to
		}
	}
	return 0
}

// leads tells whether the step from a node by a literal leads to another.
func (t *tree) leads(from spot, text string, to spot) bool {
	n := &t.nodes[to]
	switch {
	case n.from != from:
		return false
	case n.size == tooLong:
		return t.long[to] == text
	default:
		return string(n.text[:n.size]) == text
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
func (e *evaluation) best(t *tree, nodes []spot, path rest, method int) bool {
	if path.done {
		return e.end(t, nodes, method, false) || e.end(t, nodes, method, true)
	}
	segment, after := path.next()
	var room [4]spot
	if next := t.literals(nodes, segment, room[:0]); len(next) > 0 && e.best(t, next, after, method) {
		return true
	}
	if next := t.globs(nodes, segment, room[:0]); len(next) > 0 && e.best(t, next, after, method) {
		return true
	}
	if next := t.frees(nodes, room[:0]); len(next) > 0 && e.best(t, next, after, method) {
		return true
	}
	return e.end(t, nodes, method, true)
}

func (e *evaluation) end(t *tree, nodes []spot, method int, subtree bool) bool {
	if subtree && e.exactly {
		return false
	}
	found := false
	for _, n := range nodes {
		at := t.nodes[n].exact
		if subtree {
			at = t.nodes[n].subtree
		}
		switch {
		case at.kind == 0:
		case at.kind < several:
			e.applyPlain(&t.verdicts[at.kind], &e.policy.rules[at.rule])
			found = true
		case e.applyOf(&t.endpoints[at.kind-several], method):
			found = true
		}
	}
	return found
}

// applyOf applies what an endpoint has for a method, and tells whether it is
// enough: what a rule says that has ended never is.
func (e *evaluation) applyOf(at *endpoint, method int) bool {
	if at.named != nil {
		e.branches = true
	}
	ruling := at.ruling(method)
	if ruling == nil {
		return false
	}
	e.apply(ruling)
	if !ruling.expired(e.request.Now) {
		return true
	}
	// What would hold without it holds as well.
	if at.named == nil || ruling == &at.unnamed || at.unnamed.first == nil {
		return false
	}
	e.apply(&at.unnamed)
	return !at.unnamed.expired(e.request.Now)
}

// all adds the query rules of every pattern that matches the path.
func (e *evaluation) all(t *tree, nodes []spot, path rest) {
	if !e.exactly {
		for _, n := range nodes {
			e.queried(t, t.nodes[n].subtree)
		}
	}
	if path.done {
		for _, n := range nodes {
			e.queried(t, t.nodes[n].exact)
		}
		return
	}
	segment, after := path.next()
	var room [4]spot
	next := t.literals(nodes, segment, room[:0])
	next = t.globs(nodes, segment, next)
	next = t.frees(nodes, next)
	if len(next) > 0 {
		e.all(t, next, after)
	}
}

func (t *tree) literals(nodes []spot, segment string, found []spot) []spot {
	hash, hashed := uint64(0), false
	for _, n := range nodes {
		if !t.nodes[n].literals {
			continue
		}
		if !hashed {
			hash, hashed = maphash.String(t.seed, segment), true
		}
		if to := t.literal(n, segment, hash); to != 0 {
			found = append(found, to)
		}
	}
	return found
}

func (t *tree) globs(nodes []spot, segment string, found []spot) []spot {
	for _, n := range nodes {
		if steps := &t.steps[t.nodes[n].steps]; steps.globs != nil {
			found = steps.globs.find(segment, found)
		}
	}
	return found
}

func (t *tree) frees(nodes []spot, found []spot) []spot {
	for _, n := range nodes {
		if to := t.steps[t.nodes[n].steps].free; to != 0 {
			found = append(found, to)
		}
	}
	return found
}
