package gate

import (
	"sync"
	"time"
)

// lending remembers the sessions of programs that keep no cookies and name
// somebody anew at every request, so that they do not begin one at each. What
// names them is known by a keyed hash. A session that has risen since has
// another cookie, so that nobody gets a second factor by being named. The zero
// value is ready; safe for concurrent use.
type lending struct {
	mu   sync.Mutex
	lent map[[32]byte]lent
}

type lent struct {
	cookie string
	until  time.Time
}

// maxLent bounds how many programs are remembered.
const maxLent = 4096

// lend remembers the session cookie that a program got.
func (l *lending) lend(program [32]byte, cookie string, until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lent == nil || len(l.lent) >= maxLent {
		l.lent = map[[32]byte]lent{}
	}
	l.lent[program] = lent{cookie, until}
}

// cookie is what was remembered for a program, "" for nothing.
func (l *lending) cookie(program [32]byte, now time.Time) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	remembered, ok := l.lent[program]
	if ok && now.After(remembered.until) {
		delete(l.lent, program)
		return ""
	}
	return remembered.cookie
}
