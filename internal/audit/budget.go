package audit

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Budget says how many events are kept: Burst at once, then PerHour evenly.
// One that carries more than 1 KiB of detail or explanation costs as many as
// it has KiB.
type Budget struct {
	Burst   int
	PerHour int
}

func (b Budget) limiter() *rate.Limiter {
	return rate.NewLimiter(rate.Limit(float64(b.PerHour)/3600), b.Burst)
}

// Budgets of observed events. Someone signed in never spends what strangers
// spend, so that nobody can hide another's events behind noise.
type Budgets struct {
	// PerAddress is of one IPv4 address or one IPv6 /64 that nobody signed in
	// at, Strangers of all of them together.
	PerAddress, Strangers Budget
	// PerAccount is of one account, Accounts of all of them together.
	PerAccount, Accounts Budget
}

// DefaultBudgets keep some 250 MB of strangers' events a day at most. An
// address may be that of a whole office, or of `doctor`, and what its people
// read out must be found.
func DefaultBudgets() Budgets {
	return Budgets{
		PerAddress: Budget{Burst: 500, PerHour: 1000},
		Strangers:  Budget{Burst: 4000, PerHour: 10_000},
		PerAccount: Budget{Burst: 200, PerHour: 1000},
		Accounts:   Budget{Burst: 10_000, PerHour: 50_000},
	}
}

// Bounds of a gate's own memory.
const (
	maxSources = 8192
	sweepEvery = time.Minute
)

// gate spends a budget of each source and one of all of them.
type gate struct {
	each Budget

	mu      sync.Mutex
	all     *rate.Limiter
	sources map[string]*rate.Limiter
	rest    *rate.Limiter // of sources that found no place
	sweptAt time.Time
}

func newGate(each, all Budget) *gate {
	return &gate{each: each, all: all.limiter(), sources: map[string]*rate.Limiter{}, rest: each.limiter()}
}

// spend takes an event's cost. A source that is over its own budget does not
// touch the common one.
func (g *gate) spend(source string, cost int, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.source(source, now).AllowN(now, min(cost, g.each.Burst)) && g.all.AllowN(now, min(cost, g.all.Burst()))
}

// cost is the event's size in KiB, one at least.
func cost(e Event) int {
	size := len(e.Explanation)
	for _, f := range e.Detail {
		size += len(f.Key) + len(f.Value)
	}
	return 1 + size/1024
}

func (g *gate) source(name string, now time.Time) *rate.Limiter {
	if l, ok := g.sources[name]; ok {
		return l
	}
	if len(g.sources) >= maxSources && now.Sub(g.sweptAt) >= sweepEvery {
		g.sweep(now)
	}
	if len(g.sources) >= maxSources {
		return g.rest
	}
	l := g.each.limiter()
	g.sources[name] = l
	return l
}

// sweep forgets sources whose budget is full again: they are as new ones.
func (g *gate) sweep(now time.Time) {
	g.sweptAt = now
	for name, l := range g.sources {
		if l.TokensAt(now) >= float64(g.each.Burst) {
			delete(g.sources, name)
		}
	}
}

// network is what one stranger can be told from another by: an IPv4 address,
// or the /64 that one IPv6 customer has to himself.
func network(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return ""
	}
	a = a.Unmap().WithZone("")
	if a.Is4() {
		return a.String()
	}
	p, err := a.Prefix(64)
	if err != nil {
		return ""
	}
	return p.String()
}
