package audit

import (
	"crypto/hmac"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/stepgate/stepgate/internal/keys"
)

// ErrUnknownName says that an event's name is none of this package's.
var ErrUnknownName = errors.New("audit: unknown event name")

// Purposes of the key ring's subkeys.
const (
	purposeRecord     = "audit"
	purposeCheckpoint = "audit-checkpoint"
)

// Link is the end of a chain: the sequence number and hash of its last
// record. The zero Link is the end of an empty one.
type Link struct {
	Seq  int64
	Hash []byte
}

// Record is an event in its place in the chain. Seq counts from 1 without
// gaps. Body and Hash are kept byte for byte; the Event is what Body says.
type Record struct {
	Seq int64
	Event
	Body []byte
	Hash []byte
}

// Link is the chain's end as long as this is the last record.
func (r Record) Link() Link { return Link{Seq: r.Seq, Hash: r.Hash} }

// Row is a record as a store keeps it, one field a column. Only Seq, Body and
// Hash are the truth; the others are there for queries.
type Row struct {
	Seq          int64
	At           time.Time
	Name         Name
	Reference    string
	Account      string
	Actor        string
	Organisation string
	Body         []byte
	Hash         []byte
}

// Row is what the store inserts for a record.
func (r Record) Row() Row {
	return Row{
		Seq: r.Seq, At: r.At, Name: r.Name, Reference: r.Reference,
		Account: r.Account, Actor: r.Actor, Organisation: r.Organisation,
		Body: r.Body, Hash: r.Hash,
	}
}

// Record is what a row says, unverified: the event comes from its body. An
// error means that the body is not one of ours.
func (r Row) Record() (Record, error) {
	e, err := decode(r.Body)
	if err != nil {
		return Record{}, fmt.Errorf("read audit record %d: %w", r.Seq, err)
	}
	return Record{Seq: r.Seq, Event: e, Body: r.Body, Hash: r.Hash}, nil
}

// Chain makes records and verifies them. It is safe for concurrent use and
// keeps no state but the key ring; the order of records is the store's.
type Chain struct{ ring *keys.Ring }

// NewChain uses the ring's MACs. Records written under older keys verify as
// long as the ring holds those keys.
func NewChain(ring *keys.Ring) *Chain { return &Chain{ring: ring} }

// Seal makes the record that follows last: it cleans the event, writes its
// canonical form and binds it to its place. The caller inserts it in the
// transaction in which it read last. ErrUnknownName is the only error to
// expect, and a mistake of the programmer.
func (c *Chain) Seal(last Link, e Event) (Record, error) {
	if !e.Name.Known() {
		return Record{}, fmt.Errorf("%w: %.64q", ErrUnknownName, string(e.Name))
	}
	e = e.Clean()
	raw, err := encode(e)
	if err != nil {
		return Record{}, fmt.Errorf("encode audit event: %w", err)
	}
	seq := last.Seq + 1
	return Record{Seq: seq, Event: e, Body: raw, Hash: c.ring.MAC(purposeRecord, sequence(seq), last.Hash, raw)}, nil
}

// KeyOf is the ID of the key under which a row follows last, "" where it follows
// under none of the ring.
func (c *Chain) KeyOf(last Link, r Row) string {
	for _, k := range c.ring.List() {
		mac, ok := c.ring.UnderKey(k.ID, purposeRecord, sequence(r.Seq), last.Hash, r.Body)
		if ok && hmac.Equal(mac, r.Hash) {
			return k.ID
		}
	}
	return ""
}

func (c *Chain) follows(last Link, r Row) bool {
	return c.ring.VerifyMAC(purposeRecord, r.Hash, sequence(r.Seq), last.Hash, r.Body)
}

func sequence(seq int64) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(seq))
}
