package throttle

import "time"

// Rate is a sliding window: in any span as long as Per there are at most
// Limit. A Limit below 1 allows none.
type Rate struct {
	Limit int
	Per   time.Duration
}

// Rates is a budget of several windows that all have to have room.
type Rates []Rate

// maxBatches bounds the counters of one window. A window is cut into that
// many batches; a batch is free again when its last use is Per old. So no
// span of Per sees one batch twice and the sum of the batches, the limit, is
// never passed. Up to this limit each batch is one use, and the window exact;
// above it a steady sender gets 12/13 of the limit.
const maxBatches = 12

func (r Rate) batches() int { return max(1, min(r.Limit, maxBatches)) }

// size is how many uses batch i takes; the sizes add up to Limit.
func (r Rate) size(i int) int64 {
	n := r.batches()
	size := r.Limit / n
	if i < r.Limit%n {
		size++
	}
	return int64(max(size, 0))
}

func (rs Rates) counters() int {
	n := 0
	for _, r := range rs {
		n += r.batches()
	}
	return n
}

func (rs Rates) spend(counters []Counter, now time.Time) ([]int, time.Time) {
	var until time.Time
	var chosen []int
	begin := 0
	for _, r := range rs {
		window := counters[begin : begin+r.batches()]
		i, free := r.choose(window, now)
		if free.After(until) {
			until = free
		}
		chosen = append(chosen, begin+i)
		begin += len(window)
	}
	if !until.IsZero() {
		return nil, until
	}
	for n, i := range chosen {
		c := &counters[i]
		if !now.Before(c.Until) {
			*c = Counter{At: now}
		}
		c.Count++
		c.Until = now.Add(rs[n].Per)
	}
	return chosen, time.Time{}
}

// choose finds a batch that takes the next use: one with room, or one that is
// free again. Where there is none it returns when the first will be.
func (r Rate) choose(window []Counter, now time.Time) (int, time.Time) {
	if r.Limit < 1 {
		return 0, never
	}
	first := never
	for i, c := range window {
		if c.Count < r.size(i) || !now.Before(c.Until) {
			return i, time.Time{}
		}
		if c.Until.Before(first) {
			first = c.Until
		}
	}
	return 0, first
}

// Ceiling is a budget of a calendar month in UTC. The zero value allows none.
type Ceiling struct {
	// Limit is how many there may be in a month.
	Limit int
	// Kept of these are for uses with Held: messages to credentials that
	// exist already, so that enrolments (which strangers can ask for) do not
	// keep people from signing in.
	Kept int
	Held bool
}

// monthOf is when the calendar month of a moment began, in UTC.
func monthOf(now time.Time) time.Time {
	return time.Date(now.UTC().Year(), now.UTC().Month(), 1, 0, 0, 0, 0, time.UTC)
}

func (c Ceiling) counters() int { return 1 }

func (c Ceiling) spend(counters []Counter, now time.Time) ([]int, time.Time) {
	month := monthOf(now)
	used := counters[0]
	if used.At.Before(month) {
		used = Counter{At: month}
	}
	limit := c.Limit
	if !c.Held {
		limit -= c.Kept
	}
	if used.Count >= int64(limit) {
		return nil, month.AddDate(0, 1, 0)
	}
	used.Count++
	counters[0] = used
	return []int{0}, time.Time{}
}
