package session

import (
	"context"
	"errors"
	"fmt"
)

// Presented is what a secret that a program sends stands for: a session that
// no browser holds and no store keeps.
type Presented struct {
	Session Session
	Owner   Owner
	// Scope is what it may be used for, for whoever asked.
	Scope any
}

// Presented returns the entry of a secret that is known by key, from memory or
// by read: nil for nobody, where read gives ErrNotFound. What memory has of it
// ends with every change of its account, as sessions do, so that a secret that
// was taken away is nobody's within a second, on every node (ASVS 5.0 7.4.2). For one seen
// before it neither reads the store nor allocates. No key is ever a cookie's
// value.
func (m *Manager) Presented(ctx context.Context, key string, read func(context.Context) (Presented, error)) (*Entry, error) {
	now := m.Now()
	if m.silent(now) {
		return nil, ErrStore
	}
	if e := m.memory.load(key); e != nil && now.Before(e.Session.EndsAt) {
		e.seen.Store(now.UnixNano())
		return e, nil
	}
	before := m.seq.Load()
	p, err := read(ctx)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrStore, err)
	case p.Owner.Account.Suspended() || !now.Before(p.Session.EndsAt):
		return nil, nil
	}
	e := &Entry{Session: p.Session, Owner: p.Owner, Scope: p.Scope, cookie: key}
	e.seen.Store(now.UnixNano())
	m.memory.store(e)
	if m.seq.Load() != before {
		m.memory.forget(e)
	}
	return e, nil
}
