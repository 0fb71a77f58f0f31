package password

import (
	"context"
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// CountRunning has n callers compute at once and returns how many still run
// and how many ran together at most.
func CountRunning(h *Hasher, n int) (left, most int64) {
	var running, peak atomic.Int64
	var wait sync.WaitGroup
	for range n {
		wait.Go(func() {
			h.compute(context.Background(), func() {
				now := running.Add(1)
				for was := peak.Load(); now > was && !peak.CompareAndSwap(was, now); was = peak.Load() {
				}
				runtime.Gosched()
				running.Add(-1)
			})
		})
	}
	wait.Wait()
	return running.Load(), peak.Load()
}

// Dear tells whether a hash is one of ours but too costly for a fuzz test.
func Dear(phc string) bool {
	h, err := parse(phc)
	return err == nil && (h.cost.MemoryKiB > 64 || h.cost.Passes > 2)
}

// Words lists the words of the built-in list.
func Words() []string { return slices.Sorted(maps.Keys(words)) }
