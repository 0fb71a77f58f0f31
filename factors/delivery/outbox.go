package delivery

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// pageWait is how long Send waits for the provider before it lets the
	// page say that the message is on its way.
	pageWait = 5 * time.Second
	// tryTimeout bounds one try; lease is how long a try keeps other workers
	// away, which has to be longer.
	tryTimeout = 20 * time.Second
	lease      = time.Minute
	// maxQueued bounds what waits in the store, atOnce what is being
	// handed over at the same time.
	maxQueued = 10_000
	atOnce    = 32
	// queueTTL is the life of a message without an end.
	queueTTL = 48 * time.Hour
	// pollEvery is how often the worker looks for what is due.
	pollEvery = 2 * time.Second
)

// backoff is the wait after the first try, the second, and so on; the last
// repeats until the message expires.
var backoff = []time.Duration{
	10 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour,
}

// Outbox sends messages through the store. It is safe for concurrent use. Get
// one from NewOutbox.
type Outbox struct {
	store   Store
	now     func() time.Time
	report  func(Message, error)
	wait    time.Duration
	senders atomic.Pointer[map[string]Sender]
	slots   chan struct{}
	wake    chan struct{}

	mu      sync.Mutex
	closed  bool
	running sync.WaitGroup
}

// Options of an outbox. Store is needed.
type Options struct {
	Store Store
	// Now is the clock; nil is the system's.
	Now func() time.Time
	// Report hears of every message that is over, with nil or why it was
	// given up, and of every try that failed. It must not block.
	Report func(m Message, err error)
	// Wait is how long Send waits for a provider. Default: 5 s.
	Wait time.Duration
}

// NewOutbox makes an outbox without senders.
func NewOutbox(o Options) *Outbox {
	out := &Outbox{
		store: o.Store, now: o.Now, report: o.Report, wait: o.Wait,
		slots: make(chan struct{}, atOnce), wake: make(chan struct{}, 1),
	}
	if out.now == nil {
		out.now = time.Now
	}
	if out.report == nil {
		out.report = func(Message, error) {}
	}
	if out.wait <= 0 {
		out.wait = pageWait
	}
	out.Use(nil)
	return out
}

// Use replaces the senders by channel; nil ones are none. Messages of a
// channel without a sender wait in the store. undo puts those before back,
// unless others have been put into place since.
func (o *Outbox) Use(senders map[string]Sender) (undo func()) {
	used := map[string]Sender{}
	for channel, s := range senders {
		if s != nil {
			used[channel] = s
		}
	}
	before := o.senders.Swap(&used)
	return func() { o.senders.CompareAndSwap(&used, before) }
}

// Offers tells whether there is a sender for a channel.
func (o *Outbox) Offers(channel string) bool { return o.sender(channel) != nil }

func (o *Outbox) sender(channel string) Sender { return (*o.senders.Load())[channel] }

// Send keeps m and hands it to the provider. It returns nil when the provider
// has accepted it, and also when the answer takes longer than a page should
// wait or an e-mail will be tried again: the message is on its way. An error
// says that this message will not arrive: the caller may give back what it
// spent, and for ErrRefused ask for another address.
func (o *Outbox) Send(ctx context.Context, m Message) error {
	sender := o.sender(m.Channel)
	if sender == nil {
		return fmt.Errorf("%w: no provider for %s", ErrPermanent, m.Channel)
	}
	queued := o.begin(m)
	if !o.take() {
		return o.later(ctx, queued)
	}
	queued.Tries, queued.DueAt = 1, o.now().Add(lease)
	if err := o.store.QueueMessage(ctx, queued, maxQueued); err != nil {
		o.free()
		return fmt.Errorf("keep message: %w", err)
	}
	done := make(chan error, 1)
	go func() {
		defer o.free()
		done <- o.try(context.WithoutCancel(ctx), sender, queued)
	}()
	timer := time.NewTimer(o.wait)
	defer timer.Stop()
	select {
	case err := <-done:
		return err
	case <-timer.C:
		return nil
	}
}

// Post keeps m and leaves it to the worker: for what nobody waits for.
func (o *Outbox) Post(ctx context.Context, m Message) error {
	queued := o.begin(m)
	queued.DueAt = o.now()
	if err := o.store.QueueMessage(ctx, queued, maxQueued); err != nil {
		return fmt.Errorf("keep message: %w", err)
	}
	o.Wake()
	return nil
}

// Wake makes the worker look at once, after somebody else queued a message in a
// transaction of their own.
func (o *Outbox) Wake() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

func (o *Outbox) begin(m Message) Queued {
	if m.ID == "" {
		m.ID = rand.Text()
	}
	if m.ExpiresAt.IsZero() {
		m.ExpiresAt = o.now().Add(queueTTL)
	}
	return Queued{Message: m}
}

// later is Send while everything is busy. A text is refused: the person is
// waiting, and nothing is worse than a code that comes minutes later.
func (o *Outbox) later(ctx context.Context, queued Queued) error {
	if queued.Channel == SMS {
		return fmt.Errorf("%w: too many messages at once", ErrTemporary)
	}
	return o.Post(ctx, queued.Message)
}

// take gets one of the slots, unless none is free or the outbox is closed.
func (o *Outbox) take() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return false
	}
	select {
	case o.slots <- struct{}{}:
		o.running.Add(1)
		return true
	default:
		return false
	}
}

func (o *Outbox) free() {
	<-o.slots
	o.running.Done()
}

// try hands a queued message over and settles it. The error is for a message
// that will not be tried again.
func (o *Outbox) try(ctx context.Context, sender Sender, queued Queued) error {
	err := hand(ctx, sender, queued.Message)
	o.report(queued.Message, err)
	if err != nil && o.again(queued, err) {
		due := o.now().Add(backoff[min(queued.Tries, len(backoff))-1])
		if err := o.store.DelayMessage(ctx, queued.ID, due); err != nil {
			o.report(queued.Message, fmt.Errorf("delay message: %w", err))
		}
		return nil
	}
	if drop := o.store.DropMessage(ctx, queued.ID); drop != nil {
		o.report(queued.Message, fmt.Errorf("delete message: %w", drop))
	}
	return err
}

// again tells whether a message is tried once more: an e-mail, unless it was
// refused for good or its time is over.
func (o *Outbox) again(queued Queued, err error) bool {
	return queued.Channel != SMS && !errors.Is(err, ErrPermanent) && !errors.Is(err, ErrRefused) && o.now().Before(queued.ExpiresAt)
}

// errPanic stands for a provider that broke; what it said may hold anything.
var errPanic = errors.New("delivery: the provider's code panicked")

func hand(ctx context.Context, sender Sender, m Message) (err error) {
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	defer func() {
		if recover() != nil {
			err = errPanic
		}
	}()
	return sender.Send(ctx, m)
}
