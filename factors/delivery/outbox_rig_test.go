package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stepgate/stepgate/factors/delivery"
)

// memory is a store for one node.
type memory struct {
	mu   sync.Mutex
	rows map[string]delivery.Queued
}

func newMemory() *memory { return &memory{rows: map[string]delivery.Queued{}} }

func (m *memory) QueueMessage(_ context.Context, k delivery.Queued, limit int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.rows) >= limit {
		return delivery.ErrFull
	}
	m.rows[k.ID] = k
	return nil
}

func (m *memory) ClaimMessages(_ context.Context, now, until time.Time, n int) (due []delivery.Queued, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, k := range m.rows {
		if len(due) == n || k.DueAt.After(now) || !k.ExpiresAt.After(now) || k.Channel == delivery.SMS && k.Tries > 0 {
			continue
		}
		k.Tries, k.DueAt = k.Tries+1, until
		m.rows[id] = k
		due = append(due, k)
	}
	return due, nil
}

func (m *memory) DelayMessage(_ context.Context, id string, due time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if k, ok := m.rows[id]; ok {
		k.DueAt = due
		m.rows[id] = k
	}
	return nil
}

func (m *memory) DropMessage(_ context.Context, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.rows, id)
	return nil
}

func (m *memory) WaitingMessages(context.Context, time.Time) (int, time.Time, error) {
	panic("the outbox does not ask")
}

func (m *memory) queued() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.rows)
}

// provider answers each try with the next of its answers, the last for ever.
type provider struct {
	mu      sync.Mutex
	answers []error
	slow    time.Duration
	tries   []time.Time
	seen    []delivery.Message
}

func (p *provider) Send(ctx context.Context, m delivery.Message) error {
	p.mu.Lock()
	n := len(p.tries)
	p.tries, p.seen = append(p.tries, time.Now()), append(p.seen, m)
	p.mu.Unlock()
	select {
	case <-time.After(p.slow):
	case <-ctx.Done():
		return ctx.Err()
	}
	if len(p.answers) == 0 {
		return nil
	}
	return p.answers[min(n, len(p.answers)-1)]
}

func (p *provider) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.tries)
}

// all is what it was given so far, and when.
func (p *provider) all() ([]delivery.Message, []time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.seen), slices.Clone(p.tries)
}

var (
	busy    = fmt.Errorf("%w: test", delivery.ErrTemporary)
	never   = fmt.Errorf("%w: test", delivery.ErrPermanent)
	refused = fmt.Errorf("%w: test", delivery.ErrRefused)
	lost    = errors.New("the answer is lost")
)

// open makes an outbox over a store and lets its worker run for the test.
func open(t *testing.T, store delivery.Store, senders map[string]delivery.Sender) *delivery.Outbox {
	t.Helper()
	o := delivery.NewOutbox(delivery.Options{Store: store})
	o.Use(senders)
	ctx, cancel := context.WithCancel(t.Context())
	var worker sync.WaitGroup
	worker.Go(func() { o.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		worker.Wait()
		if err := o.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return o
}

func text() delivery.Message {
	return delivery.Message{Channel: delivery.SMS, To: "+447700900609", Body: "123456 is your code", ExpiresAt: time.Now().Add(10 * time.Minute)}
}

func mail() delivery.Message {
	return delivery.Message{Channel: delivery.Email, To: "joe@example.test", Subject: "Your code", Body: "123456", ExpiresAt: time.Now().Add(10 * time.Minute)}
}
