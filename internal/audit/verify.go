package audit

import (
	"bytes"
	"cmp"
	"crypto/hmac"
	"fmt"
	"iter"
	"slices"
	"time"
)

// Fault is what Verify found to be wrong.
type Fault string

// The faults.
const (
	// FaultAltered: the record, or its place, is not what was sealed.
	FaultAltered Fault = "altered"
	// FaultColumns: the record is whole, but a column beside it was changed,
	// so that a query would miss it.
	FaultColumns Fault = "columns-altered"
	// FaultMissing: one or more records before this one are gone.
	FaultMissing Fault = "missing"
	// FaultOrder: the record's number does not rise.
	FaultOrder Fault = "out-of-order"
	// FaultCheckpoint: the record is not the one that a checkpoint saw.
	FaultCheckpoint Fault = "differs-from-checkpoint"
	// FaultTruncated: the chain ends before a checkpoint.
	FaultTruncated Fault = "truncated"
)

// Break is the first place where a chain does not hold.
type Break struct {
	Fault Fault
	// Seq is the record's number; of a missing one, the first that is gone.
	Seq int64
	// Text says it in a sentence for the operator.
	Text string
}

// Result is what Verify saw.
type Result struct {
	// Records counts those that hold, from the beginning to the break.
	Records int64
	// End is the last of them.
	End Link
	// Break is nil when the whole chain holds.
	Break *Break
	// Covered is the highest checkpoint that was confirmed: nothing up to it
	// was removed. Zero if none was given.
	Covered int64
}

// bridgeField is the detail of AuditPruned that holds the checkpoint of the last
// record that was deleted.
const bridgeField = "bridge"

// Pruned is the event that has to be in the trail before records are deleted
// from its front: its bridge is the checkpoint of the last of them, so that what
// stays can be verified from there on.
func Pruned(bridge Checkpoint, reason string) Event {
	e := Event{Name: AuditPruned, Outcome: "success", Detail: []Field{{Key: bridgeField, Value: bridge.String()}}}
	if reason != "" {
		e.Detail = append(e.Detail, Field{Key: "reason", Value: reason})
	}
	return e
}

// Bridge is the checkpoint that an event of Pruned holds; ErrCheckpoint where it
// is none of this ring's.
func (c *Chain) Bridge(r Record) (Checkpoint, error) {
	for _, f := range r.Detail {
		if r.Name == AuditPruned && f.Key == bridgeField {
			return c.ParseCheckpoint(f.Value)
		}
	}
	return Checkpoint{}, ErrCheckpoint
}

// Expectation is what the operator knows of a chain from outside the store.
type Expectation struct {
	// From is where the rows begin, when older ones were deleted by age: the
	// first row follows it. Zero: they begin with the first record ever.
	From Checkpoint
	// Checkpoints were exported earlier. Those before From say nothing.
	Checkpoints []Checkpoint
}

// Verify reads rows, oldest first, up to the first break. An error means that
// they could not be read, and nothing about the chain.
func (c *Chain) Verify(rows iter.Seq2[Row, error], want Expectation) (Result, error) {
	points := slices.DeleteFunc(slices.Clone(want.Checkpoints), func(p Checkpoint) bool {
		return p.Seq < want.From.Seq || p.Seq == want.From.Seq && hmac.Equal(p.Hash, want.From.Hash)
	})
	slices.SortFunc(points, func(a, b Checkpoint) int { return cmp.Compare(a.Seq, b.Seq) })

	result := Result{End: want.From.Link, Covered: want.From.Seq}
	if len(points) > 0 && points[0].Seq == want.From.Seq {
		result.Break = contradicts(points[0], want.From.Seq)
		return result, nil
	}
	for row, err := range rows {
		if err != nil {
			return result, fmt.Errorf("read audit trail: %w", err)
		}
		if result.Break = c.check(result.End, row); result.Break != nil {
			return result, nil
		}
		for len(points) > 0 && points[0].Seq == row.Seq {
			if !hmac.Equal(points[0].Hash, row.Hash) {
				result.Break = contradicts(points[0], row.Seq)
				return result, nil
			}
			result.Covered = row.Seq
			points = points[1:]
		}
		result.End = Link{Seq: row.Seq, Hash: row.Hash}
		result.Records++
	}
	if len(points) > 0 {
		last := points[len(points)-1]
		result.Break = &Break{FaultTruncated, result.End.Seq + 1, fmt.Sprintf(
			"the trail ends with record %d, but the checkpoint of %s saw record %d",
			result.End.Seq, last.At.Format(timeFormat), last.Seq)}
	}
	return result, nil
}

func contradicts(p Checkpoint, seq int64) *Break {
	return &Break{FaultCheckpoint, seq, fmt.Sprintf("record %d is not the one of the checkpoint of %s", seq, p.At.Format(timeFormat))}
}

// check holds one row against the end of the chain before it.
func (c *Chain) check(end Link, row Row) *Break {
	switch {
	case row.Seq <= end.Seq:
		return &Break{FaultOrder, row.Seq, fmt.Sprintf("record %d stands behind record %d", row.Seq, end.Seq)}
	case row.Seq == end.Seq+2:
		return &Break{FaultMissing, end.Seq + 1, fmt.Sprintf("record %d is missing", end.Seq+1)}
	case row.Seq > end.Seq+1:
		return &Break{FaultMissing, end.Seq + 1, fmt.Sprintf("records %d to %d are missing", end.Seq+1, row.Seq-1)}
	case !c.follows(end, row):
		return &Break{FaultAltered, row.Seq, fmt.Sprintf(
			"record %d was altered, or is not in its place, or was written under a key that the key file no longer holds", row.Seq)}
	}
	if column := alteredColumn(row); column != "" {
		return &Break{FaultColumns, row.Seq, fmt.Sprintf("record %d is whole, but its column %s was altered", row.Seq, column)}
	}
	return nil
}

// alteredColumn names the first column that is not what the body says.
func alteredColumn(row Row) string {
	if beginsAs(row) {
		return ""
	}
	r, err := row.Record()
	if err != nil {
		return "body"
	}
	truth := r.Row()
	switch {
	case !row.At.Truncate(time.Millisecond).Equal(truth.At):
		return "at"
	case row.Name != truth.Name:
		return "name"
	case row.Reference != truth.Reference:
		return "reference"
	case row.Account != truth.Account:
		return "account"
	case row.Actor != truth.Actor:
		return "actor"
	case row.Organisation != truth.Organisation:
		return "organisation"
	default:
		return ""
	}
}

// beginsAs tells whether the body begins, byte for byte, as it does where the
// columns say what it says. That costs a fraction of reading it, and holds for
// nearly all rows; false says nothing. The body has been verified before: it is
// the canonical form, which has each member once and in its order.
func beginsAs(row Row) bool {
	buffer := make([]byte, 0, 512)
	buffer = append(buffer, `{"datetime":"`...)
	buffer = row.At.UTC().AppendFormat(buffer, timeFormat)
	plain := true
	member := func(name, value string) {
		if value == "" {
			return
		}
		for i := range len(value) {
			if c := value[i]; c < 0x20 || c > 0x7e || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
				plain = false
			}
		}
		buffer = append(buffer, `","`...)
		buffer = append(buffer, name...)
		buffer = append(buffer, `":"`...)
		buffer = append(buffer, value...)
	}
	member("event", string(row.Name))
	member("level", string(row.Name.Severity()))
	member("reference", row.Reference)
	member("account", row.Account)
	member("actor", row.Actor)
	member("organisation", row.Organisation)
	rest, found := bytes.CutPrefix(row.Body, append(buffer, '"'))
	if !plain || !found {
		return false
	}
	// What follows is none of these members.
	for _, name := range []string{`,"reference":`, `,"account":`, `,"actor":`, `,"organisation":`} {
		if bytes.HasPrefix(rest, []byte(name)) {
			return false
		}
	}
	return true
}
