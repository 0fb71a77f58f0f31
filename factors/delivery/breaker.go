package delivery

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	// breakAfter is how many failures in a row open a breaker, breakFor how
	// long it stays open.
	breakAfter = 3
	breakFor   = 30 * time.Second
)

// Breaker stands before a provider and leaves it alone for half a minute
// after three failures in a row that were not the address's fault. Then one
// message at a time is let through until one is accepted.
type Breaker struct {
	// Sender is the provider.
	Sender Sender
	// Now is the clock; nil is the system's.
	Now func() time.Time

	mu       sync.Mutex
	failures int
	openTill time.Time
}

// Send implements Sender. While open it gives ErrTemporary.
func (b *Breaker) Send(ctx context.Context, m Message) error {
	if !b.pass() {
		return fmt.Errorf("%w: the provider has failed several times and is left alone for a moment", ErrTemporary)
	}
	err := b.Sender.Send(ctx, m)
	b.note(err)
	return err
}

func (b *Breaker) now() time.Time {
	if b.Now != nil {
		return b.Now()
	}
	return time.Now()
}

// pass tells whether a message may go, and lets only the first one go once
// the breaker's time is over.
func (b *Breaker) pass() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failures < breakAfter {
		return true
	}
	if b.now().Before(b.openTill) {
		return false
	}
	b.openTill = b.now().Add(breakFor)
	return true
}

func (b *Breaker) note(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err == nil || errors.Is(err, ErrRefused) {
		b.failures = 0
		return
	}
	b.failures++
	b.openTill = b.now().Add(breakFor)
}
