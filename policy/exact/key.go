package exact

import (
	"encoding/binary"
	"slices"
	"strings"
)

// same tells whether all sides are at one place, so that they say the same of
// all that goes on.
func (s state) same() bool {
	first := s[:1].key(false)
	for i := range s[1:] {
		if s[i+1:i+2].key(false) != first {
			return false
		}
	}
	return true
}

func (s state) key(root bool) string {
	var key []byte
	if root {
		key = append(key, 'r')
	}
	list := func(ids []int32) {
		key = binary.AppendUvarint(key, uint64(len(ids)))
		for _, id := range ids {
			key = binary.AppendUvarint(key, uint64(id))
		}
	}
	for _, p := range s {
		key = binary.AppendUvarint(key, uint64(len(p.paths)))
		for _, at := range p.paths {
			list(at.nodes)
			list(at.ends)
		}
		list(p.queries)
		list(p.asked)
		key = binary.AppendUvarint(key, uint64(len(p.scripts)))
		for _, script := range p.scripts {
			key = append(binary.AppendUvarint(key, uint64(len(script))), script...)
		}
		key = binary.AppendUvarint(key, uint64(len(p.dirs)))
		for _, dir := range p.dirs {
			key = append(key, strings.Join(dir, "/")+"//"...)
		}
	}
	return string(key)
}

func (c Cell) key() string {
	var key []byte
	for _, h := range c.Sides {
		key = append(key, h.key()...)
		key = append(key, 0xff, 0xff)
	}
	return string(key)
}

func (c Cell) same() bool {
	first := c.Sides[0].key()
	return !slices.ContainsFunc(c.Sides[1:], func(h Here) bool { return h.key() != first })
}

func (h Here) key() string {
	var key []byte
	for _, lists := range [][]LookUp{h.LookUps, h.Scripts, {{h.Queries}}} {
		key = binary.AppendUvarint(key, uint64(len(lists)))
		for _, l := range lists {
			text := l.key()
			key = append(binary.AppendUvarint(key, uint64(len(text))), text...)
		}
	}
	return string(key)
}

func (l LookUp) key() string {
	var key []byte
	for _, tie := range l {
		key = binary.AppendUvarint(key, uint64(len(tie)))
		for _, id := range tie {
			key = binary.AppendUvarint(key, uint64(id))
		}
	}
	return string(key)
}

func readLookUp(key string) LookUp {
	var l LookUp
	rest := []byte(key)
	next := func() uint64 {
		n, size := binary.Uvarint(rest)
		rest = rest[size:]
		return n
	}
	for len(rest) > 0 {
		tie := make([]int32, next())
		for i := range tie {
			tie[i] = int32(next())
		}
		l = append(l, tie)
	}
	return l
}

// union is the numbers of both, sorted, each once. It keeps neither.
func union(a, b []int32) []int32 {
	if len(a)+len(b) == 0 {
		return nil
	}
	all := append(slices.Clone(a), b...)
	slices.Sort(all)
	return slices.Compact(all)
}

func union2(a []string, b string) []string {
	all := append(slices.Clone(a), b)
	slices.Sort(all)
	return slices.Compact(all)
}
