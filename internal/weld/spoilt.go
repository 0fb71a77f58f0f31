package weld

import (
	"sync"
	"time"
)

const (
	// spoiltFor is how long after it broke off an app may still act on a
	// request.
	spoiltFor = 10 * time.Minute
	// maxSpoilt bounds what strangers can make us remember.
	maxSpoilt = 16 << 10
)

// spoilt remembers values of nobody's with which a request broke off that may
// have signed somebody in: the app may act on it at any time from now on.
type spoilt struct {
	mu    sync.Mutex
	until map[Hash]time.Time
	// all is until when every value counts as spoilt, because there were too
	// many.
	all time.Time
}

// Spoil has values of nobody's withheld from the app for some minutes.
func (t *Turns) Spoil(values []Hash, now time.Time) {
	s := &t.spoilt
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.until) >= maxSpoilt {
		for h, until := range s.until {
			if !now.Before(until) {
				delete(s.until, h)
			}
		}
	}
	if len(s.until) >= maxSpoilt {
		clear(s.until)
		s.all = now.Add(spoiltFor)
	}
	if s.until == nil {
		s.until = map[Hash]time.Time{}
	}
	for _, h := range values {
		s.until[h] = now.Add(spoiltFor)
	}
}

// isSpoilt tells whether a value is withheld for that.
func (t *Turns) isSpoilt(h Hash, now time.Time) bool {
	s := &t.spoilt
	s.mu.Lock()
	defer s.mu.Unlock()
	return now.Before(s.all) || now.Before(s.until[h])
}
