package throttle

import (
	"context"
	"time"
)

// Key names a counter: an HMAC of what is counted, so that the store learns
// no names, numbers or addresses from it.
type Key [16]byte

// Counter is what the store keeps under a Key. Its meaning belongs to this
// package. The zero value is a counter that was never used.
type Counter struct {
	Count int64
	// At is when the present count began or last moved; Until is when the
	// next attempt may be made. Both are UTC and whole milliseconds.
	At    time.Time
	Until time.Time
}

// Idle is how long a counter whose At and Until are past has to lie still
// before a store may delete it. It bounds what strangers make the store keep,
// and is long enough that no window or wait forgets anything.
const Idle = 90 * 24 * time.Hour

// Store keeps counters.
type Store interface {
	// Counters reads the counters of keys (zero values for unknown ones), in
	// the order of keys, lets change alter them in place and keeps what it
	// left, all in one write transaction. An error of change keeps nothing
	// and is returned as it is. A counter left zero is deleted. Two calls
	// never interleave; a store may run change again on counters read afresh.
	// No key comes twice.
	Counters(ctx context.Context, keys []Key, change func([]Counter) error) error
}
