package audit

import (
	"context"
	"errors"
	"iter"
	"time"
)

// ErrNotFound says that no record has the reference.
var ErrNotFound = errors.New("audit: not found")

// Appender keeps one event for good.
type Appender interface {
	// AppendEvent seals e behind the last record and inserts it, atomically
	// among all nodes (see the package's documentation). It returns when the
	// record survives a crash.
	AppendEvent(ctx context.Context, e Event) (Record, error)
}

// Store is what the audit trail asks of whoever keeps it.
type Store interface {
	Appender
	// Events lists what q selects, newest first, unverified.
	Events(ctx context.Context, q Query) ([]Record, error)
	// EventByReference is the newest record with that reference, as
	// FoldReference gives it; ErrNotFound where there is none.
	EventByReference(ctx context.Context, reference string) (Record, error)
	// EventRows lists rows as they are kept, oldest first: those with Seq
	// above after, limit at most. An empty page is the end.
	EventRows(ctx context.Context, after int64, limit int) ([]Row, error)
}

// Query selects records. Empty fields select all; those that are set must
// all hold.
type Query struct {
	// Account matches whom an event is about, Actor who did it.
	Account, Actor, Organisation string
	Names                        []Name
	// Since is included, Until is not.
	Since, Until time.Time
	// Before is the Seq at which the page before this one ended; 0 begins
	// with the newest.
	Before int64
	// Limit is how many at most, 0 means 100.
	Limit int
}

const pageRows = 500

// Walk reads all rows behind after from the store, oldest first, a page at a
// time. It ends with the first error.
func Walk(ctx context.Context, s Store, after int64) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		for {
			page, err := s.EventRows(ctx, after, pageRows)
			if err != nil {
				yield(Row{}, err)
				return
			}
			for _, r := range page {
				if !yield(r, nil) {
					return
				}
				after = r.Seq
			}
			if len(page) == 0 {
				return
			}
		}
	}
}
