package audit

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ErrCheckpoint says that a text is no checkpoint, or not one that this
// gateway's key ring made.
var ErrCheckpoint = errors.New("audit: not a checkpoint of this trail")

// ErrEmpty says that there is no record yet to make a checkpoint of.
var ErrEmpty = errors.New("audit: no records yet")

// Checkpoint remembers, outside the store, how far a chain reached. Its text
// is one line and carries a MAC, so it may be kept by anyone.
type Checkpoint struct {
	Link
	// At is when it was made, in whole seconds UTC.
	At  time.Time
	mac []byte
}

const checkpointWord = "stepgate-audit-checkpoint-v1"

// Checkpoint makes one of the chain's present end. ErrEmpty for the zero
// Link.
func (c *Chain) Checkpoint(end Link, now time.Time) (Checkpoint, error) {
	if end.Seq < 1 {
		return Checkpoint{}, ErrEmpty
	}
	p := Checkpoint{Link: end, At: now.UTC().Truncate(time.Second)}
	p.mac = c.ring.MAC(purposeCheckpoint, p.signed())
	return p, nil
}

// ParseCheckpoint reads the text of a checkpoint and verifies it. Every error
// is ErrCheckpoint.
func (c *Chain) ParseCheckpoint(text string) (Checkpoint, error) {
	p, err := parseCheckpoint(strings.TrimSpace(text))
	if err != nil {
		return Checkpoint{}, fmt.Errorf("%w: %w", ErrCheckpoint, err)
	}
	if !c.ring.VerifyMAC(purposeCheckpoint, p.mac, p.signed()) {
		return Checkpoint{}, fmt.Errorf("%w: its signature is of another key file, or it was altered", ErrCheckpoint)
	}
	return p, nil
}

// String is the one line of the text form.
func (p Checkpoint) String() string {
	return string(p.signed()) + " " + encodeBytes(p.mac)
}

// signed is the text before the MAC, and what the MAC is of.
func (p Checkpoint) signed() []byte {
	return fmt.Appendf(nil, "%s %d %s %s", checkpointWord, p.Seq, p.At.Format(time.RFC3339), encodeBytes(p.Hash))
}

// parseCheckpoint accepts exactly what String writes.
func parseCheckpoint(text string) (Checkpoint, error) {
	fields := strings.Split(text, " ")
	if len(fields) != 5 || fields[0] != checkpointWord {
		return Checkpoint{}, errors.New("it does not have the form of one")
	}
	var p Checkpoint
	var err error
	if p.Seq, err = strconv.ParseInt(fields[1], 10, 64); err != nil || p.Seq < 1 {
		return Checkpoint{}, errors.New("its sequence number is none")
	}
	if p.At, err = time.Parse(time.RFC3339, fields[2]); err != nil {
		return Checkpoint{}, errors.New("its time is none")
	}
	p.At = p.At.UTC()
	if p.Hash, err = base64.RawURLEncoding.DecodeString(fields[3]); err != nil {
		return Checkpoint{}, errors.New("its hash is not base64")
	}
	if p.mac, err = base64.RawURLEncoding.DecodeString(fields[4]); err != nil {
		return Checkpoint{}, errors.New("its signature is not base64")
	}
	if p.String() != text {
		return Checkpoint{}, errors.New("it is not written as one")
	}
	return p, nil
}

func encodeBytes(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
