package session

import "iter"

// index finds entries by what several may have alike, their session or their
// account. The entries hold one another, so that one costs two pointers and
// its key; memory.mu guards it.
type index[K comparable] struct {
	first map[K]*Entry
	key   func(*Entry) K
	of    func(*Entry) *neighbours
}

// neighbours are the entries of the same key beside one.
type neighbours struct{ before, after *Entry }

func (x *index[K]) link(e *Entry) {
	first := x.first[x.key(e)]
	if first != nil {
		x.of(first).before = e
	}
	*x.of(e) = neighbours{after: first}
	x.first[x.key(e)] = e
}

// unlink takes out an entry that is in the index.
func (x *index[K]) unlink(e *Entry) {
	beside := *x.of(e)
	*x.of(e) = neighbours{}
	if beside.after != nil {
		x.of(beside.after).before = beside.before
	}
	switch {
	case beside.before != nil:
		x.of(beside.before).after = beside.after
	case beside.after != nil:
		x.first[x.key(beside.after)] = beside.after // by its own text, so that e's can go
	default:
		delete(x.first, x.key(e))
	}
}

// all are the entries of a key. Each may be taken out when it has come.
func (x *index[K]) all(key K) iter.Seq[*Entry] {
	return func(yield func(*Entry) bool) {
		for e := x.first[key]; e != nil; {
			next := x.of(e).after
			if !yield(e) {
				return
			}
			e = next
		}
	}
}
