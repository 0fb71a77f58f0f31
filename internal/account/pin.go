package account

import "time"

// PinKind tells apart the two names that a login at a legacy app has.
type PinKind string

// The kinds of pins.
const (
	// PinSubmitted is a name as somebody typed it into the app's form.
	PinSubmitted PinKind = "submitted"
	// PinIdentity is a name as the app gave it for somebody.
	PinIdentity PinKind = "identity"
	// PinConfirmed is a submitted name, folded, of which an operator has said
	// that it may lead to another account. It belongs to none.
	PinConfirmed PinKind = "confirmed"
)

// Pin says which account a name has led to, byte for byte: what people can
// change about themselves in the app is not who they are.
type Pin struct {
	Source  string
	Kind    PinKind
	Name    string
	Account ID // empty for PinConfirmed
	At      time.Time
}
