package sqldb

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/stepgate/stepgate/internal/keys"
)

// ErrUnsealed says that a row's sealed column does not open: it was altered,
// moved from another row, or sealed with a key that is not in the ring.
var ErrUnsealed = errors.New("sqldb: sealed column does not open")

// sealPurpose is the key ring's purpose of everything sealed at rest.
const sealPurpose = "store"

// cell names one sealed column of one row: table and column, then what says
// which row it is and whose. None of these may change while the row lives.
type cell struct {
	column string // "table.column"
	row    []string
}

func (c cell) associated() []byte {
	out := append([]byte(c.column), 0)
	for _, part := range c.row {
		out = binary.BigEndian.AppendUint32(out, uint32(len(part)))
		out = append(out, part...)
	}
	return out
}

func (c cell) seal(ring *keys.Ring, plain []byte) ([]byte, error) {
	return c.sealTo(nil, ring, plain)
}

// sealTo is seal into what dst has room for.
func (c cell) sealTo(dst []byte, ring *keys.Ring, plain []byte) ([]byte, error) {
	sealed, err := ring.AppendSealed(dst, sealPurpose, plain, c.associated())
	if err != nil {
		return nil, fmt.Errorf("seal %s: %w", c.column, err)
	}
	return sealed, nil
}

func (c cell) open(ring *keys.Ring, sealed []byte) ([]byte, error) {
	plain, err := ring.Open(sealPurpose, sealed, c.associated())
	if err != nil {
		return nil, fmt.Errorf("%w: %s of %s: %w", ErrUnsealed, c.column, c.row[0], err)
	}
	return plain, nil
}
