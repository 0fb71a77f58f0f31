package command

import (
	"time"

	"github.com/stepgate/stepgate/policy"
)

// span is the value of a flag that is a length of time, and may be written in
// days as in a configuration. Read it as a duration.
type span time.Duration

func (s *span) String() string { return policy.Duration(*s).String() }

// Set implements pflag.Value.
func (s *span) Set(text string) error {
	d, err := policy.ParseDuration(text)
	*s = span(d)
	return err
}

// Type implements pflag.Value.
func (s *span) Type() string { return "duration" }

// newSpan is a span with what it is when nothing is said.
func newSpan(d time.Duration) *span {
	s := span(d)
	return &s
}
