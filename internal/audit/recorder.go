package audit

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"
)

const (
	queueLength    = 512
	writeTimeout   = 5 * time.Second
	summariseEvery = time.Minute
)

// Recorder writes events that are no part of a larger transaction. What must
// not be lost goes through Record; what strangers can cause in any number
// (denied requests, step-ups asked for) through Observe. It is safe for
// concurrent use; end it with Close.
type Recorder struct {
	store             Appender
	now               func() time.Time
	lost              func(error)
	strangers, people *gate

	sending sync.RWMutex // held for writing only to close queue
	closed  bool
	queue   chan Event
	ended   chan struct{}
	running context.Context
	abandon context.CancelFunc

	counting sync.Mutex
	dropped  map[Name]int64
	failed   error // the last error of the store since the last summary
}

// Options of a Recorder.
type Options struct {
	Store Appender
	// Now is the clock of events that bring no time; nil means time.Now.
	Now func() time.Time
	// Lost is told about observed events that could not be kept for a
	// technical reason, at most once a minute; nil tells nobody. It may be
	// called from any goroutine.
	Lost func(error)
	// Budgets bound what Observe keeps; nil means DefaultBudgets.
	Budgets *Budgets
}

// NewRecorder starts a recorder.
func NewRecorder(o Options) *Recorder {
	b := DefaultBudgets()
	if o.Budgets != nil {
		b = *o.Budgets
	}
	r := &Recorder{
		store: o.Store, now: o.Now, lost: o.Lost,
		strangers: newGate(b.PerAddress, b.Strangers),
		people:    newGate(b.PerAccount, b.Accounts),
		queue:     make(chan Event, queueLength),
		ended:     make(chan struct{}),
		dropped:   map[Name]int64{},
	}
	if r.now == nil {
		r.now = time.Now
	}
	if r.lost == nil {
		r.lost = func(error) {}
	}
	r.running, r.abandon = context.WithCancel(context.Background())
	go r.work()
	return r
}

// Record keeps the event and returns when it survives a crash. On an error it
// may not have been kept, and what it records must not count as done. It has
// no budget: the caller has spent a throttle's before.
func (r *Recorder) Record(ctx context.Context, e Event) error {
	if e.At.IsZero() {
		e.At = r.now()
	}
	if _, err := r.store.AppendEvent(ctx, e); err != nil {
		return fmt.Errorf("record %s: %w", e.Name, err)
	}
	return nil
}

// Observe keeps the event soon, if its source is within its budget: the
// account of the session, or for a stranger the address. What is over is only
// counted, and the counts are written as EventsDropped within a minute. It
// never waits for the store, and what it was given last may be lost in a
// crash.
func (r *Recorder) Observe(e Event) {
	if !e.Name.Known() {
		r.lost(fmt.Errorf("%w: %.64q", ErrUnknownName, string(e.Name)))
		return
	}
	now := r.now()
	if e.At.IsZero() {
		e.At = now
	}
	if !r.spend(e, now) || !r.enqueue(e) {
		r.drop(e.Name, nil)
	}
}

// spend takes the event's cost from whoever caused it. An account without a
// session is what a stranger claims, and counts as a stranger.
func (r *Recorder) spend(e Event, now time.Time) bool {
	if e.Account != "" && e.Session != "" {
		return r.people.spend(e.Account, cost(e), now)
	}
	return r.strangers.spend(network(e.Address), cost(e), now)
}

// enqueue hands a cleaned event, of bounded size, to the writer.
func (r *Recorder) enqueue(e Event) bool {
	e = e.Clean()
	r.sending.RLock()
	defer r.sending.RUnlock()
	if r.closed {
		return false
	}
	select {
	case r.queue <- e:
		return true
	default:
		return false
	}
}

func (r *Recorder) drop(n Name, err error) {
	r.counting.Lock()
	defer r.counting.Unlock()
	r.dropped[n]++
	if err != nil {
		r.failed = err
	}
}

// Close writes what waits and the last counts, and ends the recorder. When
// ctx ends first, what still waits is given up and ctx's error returned.
func (r *Recorder) Close(ctx context.Context) error {
	r.sending.Lock()
	if !r.closed {
		r.closed = true
		close(r.queue)
	}
	r.sending.Unlock()
	select {
	case <-r.ended:
		return nil
	case <-ctx.Done():
		r.abandon()
		<-r.ended
		return fmt.Errorf("close audit recorder: %w", ctx.Err())
	}
}

func (r *Recorder) work() {
	defer close(r.ended)
	defer r.abandon()
	tick := time.NewTicker(summariseEvery)
	defer tick.Stop()
	for {
		select {
		case e, ok := <-r.queue:
			if !ok {
				r.summarise()
				return
			}
			if err := r.write(e); err != nil {
				r.drop(e.Name, err)
			}
		case <-tick.C:
			r.summarise()
		}
	}
}

func (r *Recorder) write(e Event) error {
	ctx, cancel := context.WithTimeout(r.running, writeTimeout)
	defer cancel()
	_, err := r.store.AppendEvent(ctx, e)
	return err
}

// summarise writes the counts of dropped events; while it cannot, they stay.
func (r *Recorder) summarise() {
	r.counting.Lock()
	dropped, failed := r.dropped, r.failed
	r.dropped, r.failed = map[Name]int64{}, nil
	r.counting.Unlock()
	if len(dropped) == 0 {
		return
	}
	if err := r.write(summary(dropped, r.now())); err != nil {
		failed = err
		r.counting.Lock()
		for n, times := range dropped {
			r.dropped[n] += times
		}
		r.counting.Unlock()
	}
	if failed != nil {
		r.lost(fmt.Errorf("keep observed audit events (%d dropped so far): %w", count(dropped), failed))
	}
}

// summary is one event with the count of each name, the most frequent first.
func summary(dropped map[Name]int64, now time.Time) Event {
	e := Event{At: now, Name: EventsDropped, Outcome: "dropped"}
	names := slices.SortedFunc(maps.Keys(dropped), func(a, b Name) int {
		return cmp.Or(cmp.Compare(dropped[b], dropped[a]), cmp.Compare(a, b))
	})
	e.Detail = []Field{{Key: "total", Value: strconv.FormatInt(count(dropped), 10)}}
	for _, n := range names {
		e.Detail = append(e.Detail, Field{Key: string(n), Value: strconv.FormatInt(dropped[n], 10)})
	}
	return e
}

func count(dropped map[Name]int64) (total int64) {
	for _, times := range dropped {
		total += times
	}
	return total
}
