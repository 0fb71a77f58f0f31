package file

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/stepgate/stepgate/factors/delivery"
)

// Sender appends one JSON object a line to a file:
// {"time","channel","to","subject","body"}. It is safe for concurrent use.
type Sender struct {
	// Path of the file. It is made with mode 0600, in a directory that
	// exists.
	Path string
	// Now is the clock; nil is the system's.
	Now func() time.Time

	mu sync.Mutex
}

type line struct {
	Time    string `json:"time"` // RFC 3339, UTC, milliseconds
	Channel string `json:"channel"`
	To      string `json:"to"`
	Subject string `json:"subject"`
	Body    string `json:"body"`
}

// Send implements delivery.Sender. The line is written by one call, so that
// lines of several processes do not mix.
func (s *Sender) Send(_ context.Context, m delivery.Message) error {
	now := time.Now
	if s.Now != nil {
		now = s.Now
	}
	text, err := json.Marshal(line{now().UTC().Format("2006-01-02T15:04:05.000Z07:00"), m.Channel, m.To, m.Subject, m.Body})
	if err != nil {
		return fmt.Errorf("%w: %w", delivery.ErrPermanent, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f, err := os.OpenFile(s.Path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("%w: %w", delivery.ErrTemporary, err)
	}
	if _, err := f.Write(append(text, '\n')); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
