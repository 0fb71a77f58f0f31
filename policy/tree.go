package policy

import (
	"hash/maphash"
	"slices"
)

// tree finds rules by path. A path is walked segment by segment, so that a
// look-up costs what the path is long and not what rules there are. It is
// immutable once frozen.
//
// With many rules a look-up is the cache lines that it touches. Where the last
// segment of a pattern is a literal and one plain rule is all there is, as at
// most ends, that step itself says so: 100,000 rules are then 4 MB, and the
// last step of a path touches one line of them.
type tree struct {
	forks []fork // the first is the root
	// table has the literal steps, at the hash of where they begin and of their
	// text; the next free place on a collision.
	table []step
	seed  maphash.Seed
	long  map[uint64]string // of steps whose text has no room, by their place
	// others are the steps of forks with others than literal ones. The first is
	// empty, and so are the first of verdicts.
	others    []others
	verdicts  []verdict
	endpoints []endpoint
	edges     edges // the literal steps while the tree grows
	queried   bool  // set where its rules have query patterns
}

// spot is where the segments of a path have led to: a fork, or with leaf set
// a step that says all itself. Zero is the root, to which none leads.
type spot uint32

const leaf spot = 1 << 31

// fork is a place from which steps lead on, or where more is said than one
// plain rule says. While the tree grows all places are forks.
type fork struct {
	others   uint32 // 0 for none but literal ones
	exact    stop   // of patterns that end here
	subtree  stop   // of those that go on with the subtree's end
	literals bool   // there are literal steps from here
}

// stop is what is said where a pattern ends: nothing, or what one plain rule
// says, or from `several` on an endpoint.
type stop struct{ kind, rule uint32 }

// several begins the kinds of a stop that are endpoints. alone is the kind of
// a stop with one rule while the tree grows, a verdict's once it is frozen.
const (
	several = 1 << 31
	alone   = 1
)

// step is by a literal segment. Two fill a cache line.
type step struct {
	from    spot
	to      uint32 // the fork, or the rule of a leaf
	verdict uint16 // a leaf's; 0 for a fork
	subtree bool   // where a leaf's pattern goes on with the subtree's end
	size    uint8  // of text, and one; 0 for a free place, tooLong where the text is elsewhere
	text    [20]byte
}

const tooLong = 255

// verdict is what a rule says that has neither methods nor a block.
type verdict struct {
	levels       LevelSet
	public, deny bool
}

// others are the steps by segments that are no literals.
type others struct {
	free  spot
	globs *globSet
}

// newTree makes a tree for about so many patterns.
func newTree(patterns int) *tree {
	return &tree{
		forks: make([]fork, 1, patterns+1), others: make([]others, 1), verdicts: make([]verdict, 1),
		edges: newEdges(patterns), seed: maphash.MakeSeed(),
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
		t.forks[n].subtree = t.joined(t.forks[n].subtree, rules, rule)
		return
	}
	t.forks[n].exact = t.joined(t.forks[n].exact, rules, rule)
	if p.slash {
		n = t.child(n, segment{kind: literal})
		t.forks[n].exact = t.joined(t.forks[n].exact, rules, rule)
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

// child returns where a step from n leads, making it if it is new.
func (t *tree) child(n spot, s segment) spot {
	if s.kind == literal {
		to := t.edges.child(n, s.text, maphash.String(t.seed, s.text))
		if *to == 0 {
			t.forks[n].literals = true
			*to = t.grow()
		}
		return *to
	}
	if t.forks[n].others == 0 {
		t.others = append(t.others, others{})
		t.forks[n].others = uint32(len(t.others) - 1)
	}
	from := &t.others[t.forks[n].others]
	switch {
	case s.kind != globbed:
		if from.free == 0 {
			from.free = t.grow()
		}
		return from.free
	case from.globs == nil:
		from.globs = new(globSet)
	}
	to := from.globs.child(s.text, *s.glob)
	if *to == 0 {
		*to = t.grow()
	}
	return *to
}

func (t *tree) grow() spot {
	t.forks = append(t.forks, fork{})
	return spot(len(t.forks) - 1)
}

// freeze ends the tree's growth.
func (t *tree) freeze(rules []Rule, methods int) {
	known := map[verdict]uint32{}
	for i := range t.forks {
		f := &t.forks[i]
		f.exact, f.subtree = t.settled(f.exact, rules, known), t.settled(f.subtree, rules, known)
	}
	for i := range t.endpoints {
		e := &t.endpoints[i]
		slices.SortFunc(e.rules, compareRules)
		if !t.queried {
			e.settle(methods)
		}
	}
	grown := t.forks
	moved := t.move()
	t.table = make([]step, len(t.edges.list)*4/3+1)
	for i := range t.edges.list {
		e := &t.edges.list[i]
		t.put(moved[e.from], e, &grown[e.to], moved[e.to])
	}
	t.endpoints, t.edges = slices.Clip(t.endpoints), edges{}
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

// move leaves only the forks that have to be some, and tells where each is now;
// leaf for those that go into the table.
func (t *tree) move() (moved []spot) {
	moved = make([]spot, len(t.forks))
	for i := range t.edges.list {
		if to := t.edges.list[i].to; t.forks[to].leaf() {
			moved[to] = leaf
		}
	}
	var left []fork
	for i := range t.forks {
		if moved[i] != leaf {
			moved[i] = spot(len(left))
			left = append(left, t.forks[i])
		}
	}
	t.forks = slices.Clip(left)
	for i := range t.others {
		o := &t.others[i]
		o.free = moved[o.free]
		if o.globs != nil {
			o.globs.move(moved)
		}
	}
	return moved
}

// leaf tells whether a step may say all that there is.
func (f *fork) leaf() bool {
	plain := func(at stop) bool { return at.kind > 0 && at.kind < 1<<16 }
	return !f.literals && f.others == 0 && (plain(f.exact) && f.subtree.kind == 0 || plain(f.subtree) && f.exact.kind == 0)
}

// put adds a step to the table: that of an edge from where its fork has moved to.
func (t *tree) put(from spot, e *edge, f *fork, to spot) {
	s := step{from: from, to: uint32(to), size: tooLong}
	if to == leaf {
		at := f.exact
		if s.subtree = at.kind == 0; s.subtree {
			at = f.subtree
		}
		s.verdict, s.to = uint16(at.kind), at.rule
	}
	at := t.place(from, e.hash)
	for t.table[at].size != 0 {
		at = t.after(at)
	}
	if len(e.text) <= len(s.text) {
		s.size = uint8(copy(s.text[:], e.text)) + 1
	} else {
		if t.long == nil {
			t.long = map[uint64]string{}
		}
		t.long[at] = e.text
	}
	t.table[at] = s
}

// place is where a step is looked for first, and after where next. There is
// always one that is free.
func (t *tree) place(from spot, hash uint64) uint64 {
	return mixed(from, hash) >> 32 * uint64(len(t.table)) >> 32
}

func (t *tree) after(at uint64) uint64 {
	if at++; at < uint64(len(t.table)) {
		return at
	}
	return 0
}

// literal returns where a literal step leads, or zero.
func (t *tree) literal(from spot, text string, hash uint64) spot {
	for at := t.place(from, hash); t.table[at].size != 0; at = t.after(at) {
		s := &t.table[at]
		switch {
		case s.from != from:
		case s.size == tooLong && t.long[at] == text, s.size != tooLong && string(s.text[:s.size-1]) == text:
			if s.verdict != 0 {
				return leaf | spot(at)
			}
			return spot(s.to)
		}
	}
	return 0
}

// stop is what is said at a spot by patterns that end there, or that go on with
// the subtree's end.
func (t *tree) stop(at spot, subtree bool) stop {
	if at&leaf != 0 {
		s := &t.table[at&^leaf]
		if s.subtree != subtree {
			return stop{}
		}
		return stop{uint32(s.verdict), s.to}
	}
	if subtree {
		return t.forks[at].subtree
	}
	return t.forks[at].exact
}
