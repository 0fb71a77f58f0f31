package delivery

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"time"
)

// The channels.
const (
	SMS   = "sms"
	Email = "email"
)

// Message is one message to one person. However it is printed or logged, only
// its channel and ID appear: the body may hold a code, and the address is
// somebody's.
type Message struct {
	// ID is the same each time this message is tried. Providers that know
	// idempotency keys are given it. Empty: the outbox makes one.
	ID      string
	Channel string
	// To is E.164 ("+447700900123") or a bare e-mail address.
	To string
	// Subject is for e-mail, one line; empty for texts.
	Subject string
	// Body is plain text with lines ended by \n.
	Body string
	// Account is the ID of whose message it is, for the audit trail.
	Account string
	// ExpiresAt is when it is of no more use: it is not tried after that. The
	// zero time is two days from when it is put into the outbox.
	ExpiresAt time.Time
	// Charged says that it has been counted already, by whoever made sure that
	// it may be sent at all. The others are counted once they are out.
	Charged bool
}

// Sender hands one message to a provider. It is safe for concurrent use.
//
// Send returns nil once the provider has accepted the message. The errors
// ErrTemporary, ErrPermanent and ErrRefused, wrapped with %w, say that it was
// not accepted; any other error says that nobody knows. An error has no
// content, address or secret in it. Send tries once (the outbox tries again)
// and gives up when ctx ends.
type Sender interface {
	Send(ctx context.Context, m Message) error
}

// Loopback tells whether a provider's host is this machine: what goes there
// crosses no network.
func Loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// String is the mark.
func (m Message) String() string { return fmt.Sprintf("[%s message %s]", m.Channel, m.ID) }

// Format covers every fmt verb.
func (m Message) Format(f fmt.State, _ rune) { io.WriteString(f, m.String()) }

// LogValue implements slog.LogValuer.
func (m Message) LogValue() slog.Value { return slog.StringValue(m.String()) }

// MarshalJSON gives the mark too, since some loggers use it. A provider names
// the fields that it wants.
func (m Message) MarshalJSON() ([]byte, error) { return json.Marshal(m.String()) }
