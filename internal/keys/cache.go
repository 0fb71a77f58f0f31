package keys

import (
	"maps"
	"sync"
	"sync/atomic"
)

// cacheLimit bounds what a caller with ever new purposes can make us keep.
const cacheLimit = 128

// cache keeps what was derived for a purpose. Reads take no lock and allocate
// nothing; the zero value is ready.
type cache[T any] struct {
	held    atomic.Pointer[map[string]T]
	filling sync.Mutex
}

func (c *cache[T]) get(purpose string) (T, bool) {
	m := c.held.Load()
	if m == nil {
		var zero T
		return zero, false
	}
	v, ok := (*m)[purpose]
	return v, ok
}

// put keeps v unless the purpose is there already or the cache is full.
func (c *cache[T]) put(purpose string, v T) {
	c.filling.Lock()
	defer c.filling.Unlock()
	next := map[string]T{}
	if m := c.held.Load(); m != nil {
		if _, ok := (*m)[purpose]; ok || len(*m) >= cacheLimit {
			return
		}
		next = maps.Clone(*m)
	}
	next[purpose] = v
	c.held.Store(&next)
}
