package weld

import (
	"sync"
	"time"
)

const (
	// typedFor is how long the name of a login's first page is remembered.
	typedFor = 15 * time.Minute
	// maxTyped bounds what strangers can make us remember.
	maxTyped = 16 << 10
)

// typed remembers which name was typed last with a value of the app's session
// cookie, for logins that ask for the password on a page of its own.
type typed struct {
	mu    sync.Mutex
	names map[Hash]typedName
}

type typedName struct {
	name  string
	until time.Time
}

// RememberTyped keeps the name that a login was sent with, under the values
// that the browser has after the app's answer. It takes the place of one that
// was typed with them before.
func (t *Turns) RememberTyped(values []Hash, name string, now time.Time) {
	m := &t.typed
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.names) >= maxTyped {
		for h, n := range m.names {
			if !now.Before(n.until) {
				delete(m.names, h)
			}
		}
	}
	if m.names == nil || len(m.names) >= maxTyped {
		m.names = map[Hash]typedName{}
	}
	for _, h := range values {
		m.names[h] = typedName{name, now.Add(typedFor)}
	}
}

// TypedWith is the one name that was typed with these values. ok is false for
// none and for several.
func (t *Turns) TypedWith(values []Hash, now time.Time) (name string, ok bool) {
	m := &t.typed
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, h := range values {
		n, known := m.names[h]
		switch {
		case !known || !now.Before(n.until):
		case ok && n.name != name:
			return "", false
		default:
			name, ok = n.name, true
		}
	}
	return name, ok
}
