package throttle_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stepgate/stepgate/internal/throttle"
)

// memory is a Store in a map.
type memory struct {
	mu       sync.Mutex
	counters map[throttle.Key]throttle.Counter
	err      error
}

func (m *memory) Counters(ctx context.Context, keys []throttle.Key, change func([]throttle.Counter) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return m.err
	}
	counters := make([]throttle.Counter, len(keys))
	for i, k := range keys {
		counters[i] = m.counters[k]
	}
	if err := change(counters); err != nil {
		return err
	}
	if m.counters == nil {
		m.counters = make(map[throttle.Key]throttle.Counter)
	}
	for i, k := range keys {
		if counters[i] == (throttle.Counter{}) {
			delete(m.counters, k)
		} else {
			m.counters[k] = counters[i]
		}
	}
	return nil
}

func (m *memory) snapshot() map[throttle.Key]throttle.Counter {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make(map[throttle.Key]throttle.Counter, len(m.counters))
	for k, c := range m.counters {
		all[k] = c
	}
	return all
}

// clock is a clock that a test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 3, 14, 9, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func mac(purpose string, parts ...[]byte) []byte {
	h := hmac.New(sha256.New, []byte("key of "+purpose))
	h.Write(slices.Concat(parts...))
	return h.Sum(nil)
}

func newLedger(t *testing.T) (*throttle.Ledger, *memory, *clock) {
	t.Helper()
	store, now := &memory{}, newClock()
	return &throttle.Ledger{Store: store, Now: now.Now}, store, now
}

func key(parts ...string) throttle.Key { return throttle.NewKey(mac, parts...) }

func address(t *testing.T, text string) netip.Addr {
	t.Helper()
	a, err := netip.ParseAddr(text)
	if err != nil {
		t.Fatal(err)
	}
	return a
}
