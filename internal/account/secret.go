package account

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
)

// Secret is data that must not reach a log, an error or a page by accident:
// every way of printing it gives a mark. Read it with Reveal.
type Secret []byte

const redacted = "[secret]"

// Reveal returns the content. The caller must not log it.
func (s Secret) Reveal() []byte { return []byte(s) }

// String implements fmt.Stringer with a mark.
func (s Secret) String() string { return redacted }

// GoString implements fmt.GoStringer with a mark.
func (s Secret) GoString() string { return redacted }

// Format covers every fmt verb, %x included.
func (s Secret) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// MarshalJSON implements json.Marshaler with a mark.
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal(redacted) }

// MarshalText implements encoding.TextMarshaler with a mark.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// PasswordMark recognises a kept password without being it.
type PasswordMark string

// MarkPassword is the mark of a PHC string; of none it is empty.
func MarkPassword(phc string) PasswordMark {
	if phc == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(phc))
	return PasswordMark(base64.RawStdEncoding.EncodeToString(sum[:]))
}
