package policy

import (
	"hash/maphash"
	"strings"
)

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
// the method, and tells whether there were any. nodes are spots that equally
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
		at := t.stop(n, subtree)
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
			e.queried(t, t.stop(n, true))
		}
	}
	if path.done {
		for _, n := range nodes {
			e.queried(t, t.stop(n, false))
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
		if n&leaf != 0 || !t.forks[n].literals {
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
		if n&leaf == 0 && t.others[t.forks[n].others].globs != nil {
			found = t.others[t.forks[n].others].globs.find(segment, found)
		}
	}
	return found
}

func (t *tree) frees(nodes []spot, found []spot) []spot {
	for _, n := range nodes {
		if n&leaf == 0 && t.others[t.forks[n].others].free != 0 {
			found = append(found, t.others[t.forks[n].others].free)
		}
	}
	return found
}
