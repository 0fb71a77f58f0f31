package sqldb

import (
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf8"
)

// instant is a time.Time as a column: nanoseconds since 1970, 0 for the zero
// time. It reads back in UTC. Times beyond the year 2262 become the last that
// there is, so that "never" does not become the past.
type instant time.Time

// Value implements driver.Valuer.
func (i instant) Value() (driver.Value, error) { return nanoseconds(time.Time(i)), nil }

// Scan implements sql.Scanner.
func (i *instant) Scan(src any) error {
	n, ok := src.(int64)
	if !ok {
		return fmt.Errorf("time column holds %T", src)
	}
	*i = instant(fromNanoseconds(n))
	return nil
}

var latest = time.Unix(0, math.MaxInt64)

func nanoseconds(t time.Time) int64 {
	switch {
	case t.IsZero():
		return 0
	case t.After(latest):
		return math.MaxInt64
	default:
		return t.UnixNano()
	}
}

func fromNanoseconds(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}

// document is a value kept as JSON text. Nil and empty lists read back nil.
type document[T any] struct{ to *T }

func asJSON[T any](v *T) document[T] { return document[T]{v} }

// Value implements driver.Valuer.
func (d document[T]) Value() (driver.Value, error) {
	text, err := json.Marshal(d.to)
	return string(text), err
}

// Scan implements sql.Scanner.
func (d document[T]) Scan(src any) error {
	text, ok := src.(string)
	if !ok {
		return fmt.Errorf("JSON column holds %T", src)
	}
	if text == "null" || text == "[]" {
		return nil
	}
	return json.Unmarshal([]byte(text), d.to)
}

// errUnstorable says that a text holds NUL or is not UTF-8. PostgreSQL does
// not take such text, so no store of ours does.
var errUnstorable = errors.New("sqldb: text with NUL or not in UTF-8")

// storable makes free text that came from a visitor fit to be kept. It is not
// for what somebody is known by: two names must not become one.
func storable(text string) string {
	return strings.ToValidUTF8(strings.ReplaceAll(text, "\x00", ""), "\uFFFD")
}

// allStorable looks at the texts among a statement's arguments.
func allStorable(args []any) error {
	for _, arg := range args {
		if text, ok := arg.(string); ok && (strings.Contains(text, "\x00") || !utf8.ValidString(text)) {
			return errUnstorable
		}
	}
	return nil
}
