package weld

import (
	"sync"
	"time"
)

const (
	// strangerFor is how long a value that was bound to nobody is taken for
	// one still, without asking the store again.
	strangerFor = time.Second
	// maxStrangers bounds what visitors can make us remember.
	maxStrangers = 16 << 10
)

// strangers remembers values that are bound to nobody. The zero value is
// ready.
type strangers struct {
	mu    sync.Mutex
	until map[Hash]time.Time
	bound uint64 // how often a value was bound
}

// knows tells whether a value is one. If not, since tells add when that was
// asked.
func (s *strangers) knows(h Hash, now time.Time) (known bool, since uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return now.Before(s.until[h]), s.bound
}

// add remembers what the store has said since then, unless a value was bound
// in the meantime: it may be this one.
func (s *strangers) add(h Hash, now time.Time, since uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bound != since {
		return
	}
	if s.until == nil || len(s.until) >= maxStrangers {
		s.until = map[Hash]time.Time{}
	}
	s.until[h] = now.Add(strangerFor)
}

// forget has a value asked for anew.
func (s *strangers) forget(h Hash) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.until, h)
}

// forgetAll is for when a value was bound: some may be other spellings of it.
func (s *strangers) forgetAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bound++
	clear(s.until)
}
