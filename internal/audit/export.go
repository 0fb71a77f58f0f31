package audit

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
)

// ErrLine says that a line is none that Line wrote.
var ErrLine = errors.New("audit: not a line of an export")

// Line is the record as one line of an export or a listing: a JSON object
// without the line feed, the place in the chain first and then the members of
// the body as they were sealed.
func (r Record) Line() []byte {
	return append(linePrefix(r.Seq, r.Hash), r.Body[1:]...)
}

// ParseLine reads what Line wrote, so that an export can be verified without
// the store. It does not verify the record.
func ParseLine(line []byte) (Row, error) {
	var place struct {
		Seq  int64  `json:"seq"`
		Hash string `json:"hash"`
	}
	line = bytes.TrimSpace(line)
	if err := json.Unmarshal(line, &place); err != nil {
		return Row{}, fmt.Errorf("%w: %w", ErrLine, err)
	}
	hash, err := base64.RawURLEncoding.DecodeString(place.Hash)
	if err != nil {
		return Row{}, fmt.Errorf("%w: its hash is not base64", ErrLine)
	}
	members, ok := bytes.CutPrefix(line, linePrefix(place.Seq, hash))
	if !ok {
		return Row{}, fmt.Errorf("%w: its first members are not those of one", ErrLine)
	}
	r, err := Row{Seq: place.Seq, Body: append([]byte{'{'}, members...), Hash: hash}.Record()
	if err != nil {
		return Row{}, fmt.Errorf("%w: %w", ErrLine, err)
	}
	return r.Row(), nil
}

func linePrefix(seq int64, hash []byte) []byte {
	return fmt.Appendf(nil, `{"appid":"stepgate","seq":%d,"hash":"%s",`, seq, encodeBytes(hash))
}
