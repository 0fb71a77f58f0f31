package policy

// edges are the literal steps of a tree that grows. They are found by their
// hashes, which the tree's table needs again: a map would hash each text once
// more, and 100,000 rules look for three edges each.
type edges struct {
	list  []edge
	index []uint32 // places in list, and one; the next free on a collision. A power of two long
}

type edge struct {
	from, to spot
	hash     uint64 // of text
	text     string
}

// newEdges makes room for about so many.
func newEdges(many int) edges {
	size := 16
	for size < 2*many {
		size *= 2
	}
	return edges{list: make([]edge, 0, many), index: make([]uint32, size)}
}

// child is where an edge leads, for the caller to fill where it is new.
func (e *edges) child(from spot, text string, hash uint64) *spot {
	at := e.place(from, hash)
	for ; e.index[at] != 0; at = e.after(at) {
		if one := &e.list[e.index[at]-1]; one.from == from && one.hash == hash && one.text == text {
			return &one.to
		}
	}
	e.list = append(e.list, edge{from: from, hash: hash, text: text})
	e.index[at] = uint32(len(e.list))
	if 2*len(e.list) > len(e.index) {
		e.widen()
	}
	return &e.list[len(e.list)-1].to
}

func (e *edges) widen() {
	e.index = make([]uint32, 2*len(e.index))
	for i := range e.list {
		at := e.place(e.list[i].from, e.list[i].hash)
		for e.index[at] != 0 {
			at = e.after(at)
		}
		e.index[at] = uint32(i + 1)
	}
}

func (e *edges) place(from spot, hash uint64) int {
	return int(mixed(from, hash)>>32) & (len(e.index) - 1)
}

func (e *edges) after(at int) int { return (at + 1) & (len(e.index) - 1) }

// mixed is the hash of an edge: equal texts are many.
func mixed(from spot, hash uint64) uint64 { return hash ^ uint64(from)*0x9E3779B97F4A7C15 }
