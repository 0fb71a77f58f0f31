package audit

import (
	"context"
	"time"
)

// Receivers keep how far each receiver outside has got the trail, so that none
// misses a record while it is away or while the gateway is.
type Receivers interface {
	// HoldReceiver makes holder the one that sends to a receiver until then,
	// unless another holds it, and gives the number of the last record that was
	// delivered.
	HoldReceiver(ctx context.Context, name, holder string, now, until time.Time) (seq int64, held bool, err error)
	// MoveReceiver says that the holder has delivered all up to seq.
	MoveReceiver(ctx context.Context, name, holder string, seq int64) error
	// ReceiversBehind are those that have not got the record of this number yet
	// and were held after a moment, by their names: others are used no more.
	ReceiversBehind(ctx context.Context, seq int64, heldAfter time.Time) ([]Behind, error)
}

// Behind is a receiver, and the number of the last record that it has got.
type Behind struct {
	Name string
	Seq  int64
}
