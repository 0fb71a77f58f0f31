package author

import (
	"cmp"
	"math"
	"math/bits"
	"slices"
	"strings"
)

// topList counts what is seen most often, in bounded memory: the
// space-saving sketch (Metwally, Agrawal, El Abbadi, 2005). Where it is full,
// a new key takes the place of the rarest and its count: a count is never too
// low, and too high by at most what all counted divided by the room.
type topList struct {
	room int
	at   map[string]*counted
	heap []*counted // the rarest first
}

type counted struct {
	key   string
	count int64
	over  int64 // by how much count may be too high
	place int   // in the heap
}

func newTopList(room int) *topList { return &topList{room: room, at: map[string]*counted{}} }

// add counts key n times. The key is copied if it is kept.
func (t *topList) add(key string, n int64) {
	if c, ok := t.at[key]; ok {
		c.count += n
		t.down(c)
		return
	}
	key = strings.Clone(key)
	if len(t.heap) < t.room {
		c := &counted{key: key, count: n, place: len(t.heap)}
		t.heap = append(t.heap, c)
		t.at[key] = c
		t.up(c)
		return
	}
	rarest := t.heap[0]
	delete(t.at, rarest.key)
	rarest.key, rarest.over = key, rarest.count
	rarest.count += n
	t.at[key] = rarest
	t.down(rarest)
}

func (t *topList) swap(a, b *counted) {
	a.place, b.place = b.place, a.place
	t.heap[a.place], t.heap[b.place] = a, b
}

func (t *topList) up(c *counted) {
	for c.place > 0 {
		parent := t.heap[(c.place-1)/2]
		if parent.count <= c.count {
			return
		}
		t.swap(c, parent)
	}
}

func (t *topList) down(c *counted) {
	for {
		least := c
		for _, child := range [2]int{2*c.place + 1, 2*c.place + 2} {
			if child < len(t.heap) && t.heap[child].count < least.count {
				least = t.heap[child]
			}
		}
		if least == c {
			return
		}
		t.swap(c, least)
	}
}

// full tells whether a new key takes the place of another.
func (t *topList) full() bool { return len(t.heap) == t.room }

// join adds what another list has counted.
func (t *topList) join(o *topList) {
	for _, c := range o.heap {
		t.add(c.key, c.count)
		t.at[c.key].over += c.over
	}
}

// most lists up to n keys, the most frequent first. A key whose count may be
// more than half inherited is noise and left out.
func (t *topList) most(n int) []*counted {
	if t == nil {
		return nil
	}
	list := slices.DeleteFunc(slices.Clone(t.heap), func(c *counted) bool { return 2*c.over > c.count })
	slices.SortFunc(list, func(a, b *counted) int {
		return cmp.Or(cmp.Compare(b.count, a.count), strings.Compare(a.key, b.key))
	})
	return list[:min(n, len(list))]
}

// distinct estimates how many different things there were (HyperLogLog:
// Flajolet and others, 2007), to about one per cent, in 16 KiB.
type distinct struct{ registers [1 << distinctBits]uint8 }

const distinctBits = 14

// add takes a hash of the thing, all of whose bits are good.
func (d *distinct) add(hash uint64) {
	at := hash >> (64 - distinctBits)
	rank := uint8(bits.LeadingZeros64(hash<<distinctBits|1<<(distinctBits-1)) + 1)
	d.registers[at] = max(d.registers[at], rank)
}

func (d *distinct) estimate() int64 {
	m := float64(len(d.registers))
	sum, empty := 0.0, 0.0
	for _, r := range d.registers {
		sum += math.Ldexp(1, -int(r))
		if r == 0 {
			empty++
		}
	}
	estimate := 0.7213 / (1 + 1.079/m) * m * m / sum
	if estimate <= 2.5*m && empty > 0 {
		estimate = m * math.Log(m/empty)
	}
	return int64(math.Round(estimate))
}

// hashOf is FNV-1a, mixed: the same in every run, so that two rehearsals of
// one log give the same estimates.
func hashOf(text string) uint64 {
	h := uint64(0xCBF29CE484222325)
	for i := 0; i < len(text); i++ {
		h = (h ^ uint64(text[i])) * 0x100000001B3
	}
	return mix(h, 0)
}

// mix makes one hash of two numbers.
func mix(a, b uint64) uint64 {
	h := (a ^ bits.RotateLeft64(b, 32)) * 0x9E3779B97F4A7C15
	h ^= h >> 29
	h *= 0xBF58476D1CE4E5B9
	return h ^ h>>32
}
