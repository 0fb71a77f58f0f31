package throttle

import "time"

// never is the Until of a counter that only Clear moves. It is far from now
// and still a date that every database can keep.
var never = time.Date(2200, time.January, 1, 0, 0, 0, 0, time.UTC)

// Budget is a kind of arithmetic over the counters of one Key: Attempts,
// Rates or Ceiling.
type Budget interface {
	// counters is how many counters the budget needs, always the same.
	counters() int
	// spend takes one from the budget, or changes nothing and returns when
	// it may be tried again (never: not by waiting). counters has as many as
	// asked for.
	spend(counters []Counter, now time.Time) (spent []int, until time.Time)
}

// Attempts is a budget of failures in a row. The zero value allows any
// number.
type Attempts struct {
	// Free is how many tries may be made without waiting. The wait begins
	// with the failure that uses up the last of them.
	Free int
	// Delays are the waits after the Free-th failure, the one after it, and
	// so on; the last repeats. Empty: Free has no meaning.
	Delays []time.Duration
	// Decay is the quiet after the last failure and its wait that makes the
	// counter new. 0: it never forgets.
	Decay time.Duration
	// Cap is the number of failures that ends all trying until the counter
	// is cleared. 0: there is no such number.
	Cap int
}

func (a Attempts) counters() int { return 1 }

func (a Attempts) spend(counters []Counter, now time.Time) ([]int, time.Time) {
	c := &counters[0]
	if now.Before(c.Until) {
		return nil, c.Until
	}
	if a.forgotten(*c, now) {
		*c = Counter{}
	}
	c.Count++
	c.At = now
	c.Until = a.wait(c.Count, now)
	return []int{0}, time.Time{}
}

func (a Attempts) forgotten(c Counter, now time.Time) bool {
	quietSince := c.At
	if c.Until.After(quietSince) {
		quietSince = c.Until
	}
	return a.Decay > 0 && now.Sub(quietSince) >= a.Decay
}

// wait is when the next try may be made after count failures, the last now.
func (a Attempts) wait(count int64, now time.Time) time.Time {
	if a.Cap > 0 && count >= int64(a.Cap) {
		return never
	}
	over := count - int64(a.Free)
	if over < 0 || len(a.Delays) == 0 {
		return time.Time{}
	}
	return now.Add(a.Delays[min(over, int64(len(a.Delays)-1))])
}
