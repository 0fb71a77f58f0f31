package token

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/stepgate/stepgate/internal/account"
)

// Uses collects when tokens were used, to be written now and then: a program
// may send thousands of requests a second. It is safe for concurrent use.
type Uses struct {
	mu   sync.Mutex
	last map[account.CredentialID]time.Time
}

// Note notes one use.
func (u *Uses) Note(id account.CredentialID, at time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.last == nil {
		u.last = map[account.CredentialID]time.Time{}
	}
	u.last[id] = at
}

// Write hands over what was noted since the last time. What cannot be written
// is noted again.
func (u *Uses) Write(ctx context.Context, write func(context.Context, map[account.CredentialID]time.Time) error) error {
	u.mu.Lock()
	noted := u.last
	u.last = nil
	u.mu.Unlock()
	if len(noted) == 0 {
		return nil
	}
	err := write(ctx, noted)
	if err != nil {
		u.mu.Lock()
		defer u.mu.Unlock()
		newer := u.last
		u.last = noted
		maps.Copy(u.last, newer)
	}
	return err
}
