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
}

func (s *strangers) knows(h Hash, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return now.Before(s.until[h])
}

func (s *strangers) add(h Hash, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.until == nil || len(s.until) >= maxStrangers {
		s.until = map[Hash]time.Time{}
	}
	s.until[h] = now.Add(strangerFor)
}

func (s *strangers) forget(h Hash) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.until, h)
}
