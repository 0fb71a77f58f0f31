package account

import (
	"net/netip"
	"time"
)

// TokenBounds are what a program may do with a token: nothing else is done
// with it, whatever its account may do.
type TokenBounds struct {
	// Paths are patterns as those of a policy's rules ("/dav/*"), without a
	// query. At least one.
	Paths []string `json:"paths"`
	// Methods are those that it may use; none is all.
	Methods []string `json:"methods,omitempty"`
	// Addresses are those that it may come from; none is all.
	Addresses []netip.Prefix `json:"addresses,omitempty"`
	EndsAt    time.Time      `json:"ends_at"`
}
