package delivery

import (
	"context"
	"time"
)

// Queued is a message in the store and when it is due.
type Queued struct {
	Message
	// Tries is how often it has been handed to a provider, a try under way
	// included.
	Tries int
	// DueAt is when a worker may take it.
	DueAt time.Time
}

// Store keeps messages until they are over. It seals what they say and to
// whom.
type Store interface {
	// QueueMessage adds k; ErrFull where limit messages are queued already.
	QueueMessage(ctx context.Context, k Queued, limit int) error
	// ClaimMessages gives at most n messages that are due at now, the longest
	// due first, each with one try more and due again at until, so that no
	// other worker takes them meanwhile. A text that has been tried is never
	// given, nor what has expired. Atomic over all nodes.
	ClaimMessages(ctx context.Context, now, until time.Time, n int) ([]Queued, error)
	// DelayMessage makes a message due at a later time.
	DelayMessage(ctx context.Context, id string, due time.Time) error
	// DropMessage deletes a message; none is no error.
	DropMessage(ctx context.Context, id string) error
	// WaitingMessages counts the messages that have not expired at now, and
	// tells since when the oldest of them is due: zero where none is yet.
	WaitingMessages(ctx context.Context, now time.Time) (n int, since time.Time, err error)
}
