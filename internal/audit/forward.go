package audit

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"time"
)

// Sink takes records outside. Send returns how far they are certain to have
// arrived: all up to that number, which may be less than the last. After an
// error it is sent again what came after the number it has confirmed.
type Sink interface {
	Send(ctx context.Context, records []Record) (arrived int64, err error)
	io.Closer
}

// Rows reads the trail.
type Rows interface {
	EventRows(ctx context.Context, after int64, limit int) ([]Row, error)
}

// Forwarder sends the trail to a receiver outside as it grows. How far it has
// got is kept in the store, so that nothing is lost while the receiver or the
// gateway is away; what was under way then may come twice, and carries its
// number. Of many nodes one sends.
type Forwarder struct {
	Name      string
	Rows      Rows
	Receivers Receivers
	// Open reaches the receiver.
	Open func(ctx context.Context) (Sink, error)
	// Report is told of what keeps the receiver from being reached, and with nil
	// that it is reached again.
	Report func(error)
	Now    func() time.Time

	holder string
	sink   Sink
	sent   int64 // the last that the sink has been given
	failed bool
}

// The pace of a Forwarder.
const (
	forwardHold  = 30 * time.Second
	forwardPause = 500 * time.Millisecond
	forwardRows  = 200
	maxBackoff   = 15 * time.Second
)

// Run sends until ctx ends.
func (f *Forwarder) Run(ctx context.Context) {
	f.holder = rand.Text()
	defer f.release()
	defer f.drop()
	wait := forwardPause
	for ctx.Err() == nil {
		more, err := f.step(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			f.drop()
			if !f.failed {
				f.Report(err)
			}
			f.failed = true
			wait = min(2*wait, maxBackoff)
		default:
			if f.failed {
				f.Report(nil)
			}
			f.failed, wait = false, forwardPause
		}
		if more && err == nil {
			continue
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

func (f *Forwarder) drop() {
	if f.sink != nil {
		f.sink.Close()
	}
	f.sink, f.sent = nil, 0
}

// release lets whoever follows send at once.
func (f *Forwarder) release() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	now := f.Now()
	// Where it fails the hold ends by itself.
	_, _, _ = f.Receivers.HoldReceiver(ctx, f.Name, f.holder, now, now)
}

// step sends the next records, and tells whether there may be more.
func (f *Forwarder) step(ctx context.Context) (more bool, err error) {
	now := f.Now()
	seq, held, err := f.Receivers.HoldReceiver(ctx, f.Name, f.holder, now, now.Add(forwardHold))
	if err != nil {
		return false, err
	}
	if !held {
		f.drop()
		return false, nil
	}
	if f.sink == nil {
		if f.sink, err = f.Open(ctx); err != nil {
			return false, err
		}
		f.sent = seq
	}
	rows, err := f.Rows.EventRows(ctx, f.sent, forwardRows)
	if err != nil {
		return false, err
	}
	records := make([]Record, 0, len(rows))
	for _, row := range rows {
		r, err := row.Record()
		if err != nil {
			return false, err
		}
		records = append(records, r)
	}
	arrived, err := f.sink.Send(ctx, records)
	if arrived > seq {
		err = errors.Join(err, f.Receivers.MoveReceiver(ctx, f.Name, f.holder, arrived))
	}
	if err != nil {
		return false, fmt.Errorf("send the audit trail to %s: %w", f.Name, err)
	}
	if len(rows) > 0 {
		f.sent = rows[len(rows)-1].Seq
	}
	return len(rows) == forwardRows, nil
}
