package delivery

import (
	"context"
	"fmt"
	"time"
)

// Run takes what is due out of the store until ctx ends: what could not be
// sent before, and what other programs left there. One worker a node.
func (o *Outbox) Run(ctx context.Context) {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-o.wake:
		}
		o.sendDue(ctx)
	}
}

// sendDue begins to send as much of what is due as there are free slots.
func (o *Outbox) sendDue(ctx context.Context) {
	if len(*o.senders.Load()) == 0 {
		return
	}
	free := 0
	for free < atOnce/2 && o.take() { // the other half is for who waits at a page
		free++
	}
	queued := o.claim(ctx, free)
	for range free - len(queued) {
		o.free()
	}
	for _, k := range queued {
		go func() {
			defer o.free()
			o.sendQueued(context.WithoutCancel(ctx), k)
		}()
	}
}

func (o *Outbox) claim(ctx context.Context, n int) []Queued {
	if n == 0 {
		return nil
	}
	now := o.now()
	queued, err := o.store.ClaimMessages(ctx, now, now.Add(lease), n)
	if err != nil && ctx.Err() == nil {
		o.report(Message{}, fmt.Errorf("look for messages that are due: %w", err))
	}
	return queued
}

func (o *Outbox) sendQueued(ctx context.Context, k Queued) {
	sender := o.sender(k.Channel)
	if sender == nil {
		sender = missing{}
	}
	o.try(ctx, sender, k) // its outcome was reported
}

// missing stands for a provider that is no longer configured.
type missing struct{}

func (missing) Send(_ context.Context, m Message) error {
	return fmt.Errorf("%w: no provider for %s", ErrTemporary, m.Channel)
}

// Close lets tries under way come to their end, or ctx. After it nothing is
// sent; e-mails may still be queued.
func (o *Outbox) Close(ctx context.Context) error {
	o.mu.Lock()
	o.closed = true
	o.mu.Unlock()
	done := make(chan struct{})
	go func() {
		o.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("close outbox: %w", ctx.Err())
	}
}
