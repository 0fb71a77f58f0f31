package exact

func (w *walker[V]) step(s state, text string) state {
	next := make(state, len(s))
	for i, p := range s {
		next[i] = w.stepSide(p, text, i)
	}
	return next
}

func (w *walker[V]) stepSide(p place, text string, side int) place {
	next := place{scripts: p.scripts, asked: p.asked}
	inside := next.enter(p.dirs, text)
	ruled := 0
	for _, at := range p.paths {
		if at.nodes == nil {
			if !w.enough(ruled) {
				next.paths = append(next.paths, at)
			}
			if w.rulesAll(at.ends) {
				ruled++
			}
			continue
		}
		next.paths = append(next.paths, w.children(at.nodes, text, w.enough(ruled) && len(next.dirs) == 0)...)
		if ends := w.endsOf(at.nodes, true); len(ends) > 0 {
			if !w.enough(ruled) {
				next.paths = append(next.paths, step{ends: ends})
			}
			if w.rulesAll(ends) {
				ruled++
			}
		}
	}
	for _, n := range p.queries {
		here := &w.table.nodes[n]
		if here.subtree != none {
			next.asked = union(next.asked, []int32{here.subtree})
		}
		for _, group := range w.children([]int32{n}, text, false) {
			next.queries = union(next.queries, group.nodes)
		}
	}
	if text != "" && (inside || fitsAny(w.sides[side].Scripts, text)) {
		w.scripts(&next)
	}
	return next
}

// enter goes on in script directories, and tells whether the way is inside
// one already.
func (p *place) enter(dirs [][]string, text string) (inside bool) {
	for _, dir := range dirs {
		switch {
		case len(dir) == 0:
			inside = true
			p.dirs = append(p.dirs, dir)
		case dir[0] == text:
			p.dirs = append(p.dirs, dir[1:])
		}
	}
	return inside
}

// scripts notes what is said of the script that the way has led to. It counts
// for paths that go on; of the one that ends here it says nothing new.
func (w *walker[V]) scripts(next *place) {
	if l := w.lookUp(*next, true); len(l) > 0 {
		next.scripts = union2(next.scripts, l.key())
	}
	for _, n := range next.queries {
		if end := w.table.nodes[n].exact; end != none {
			next.asked = union(next.asked, []int32{end})
		}
	}
}

// children are the steps from nodes that tie, the most specific first. Where
// a ruling stands before them, only those count that scripts may ask.
func (w *walker[V]) children(nodes []int32, text string, ruled bool) []step {
	var literals, globs, frees []int32
	keep := func(list []int32, n int32) []int32 {
		if ruled && !w.table.nodes[n].scripted && w.table.nodes[n].exact == none {
			return list
		}
		return append(list, n)
	}
	for _, id := range nodes {
		n := &w.table.nodes[id]
		if ruled && !n.scripted {
			continue
		}
		if to, ok := n.literals[text]; ok {
			literals = keep(literals, to)
		}
		for _, g := range n.globs {
			if g.glob.Fits(text) {
				globs = keep(globs, g.to)
			}
		}
		if n.free != none {
			frees = keep(frees, n.free)
		}
	}
	var steps []step
	for _, group := range [][]int32{literals, globs, frees} {
		if len(group) > 0 {
			steps = append(steps, step{nodes: union(group, nil)})
		}
	}
	return steps
}
