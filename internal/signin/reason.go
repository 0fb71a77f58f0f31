package signin

// Reason says why somebody who gave the right password is not let in.
type Reason string

// The reasons. Pages have a text for each: "error.sign-in." and the reason.
const (
	PasswordExpired    Reason = "password-expired"
	PasswordMustChange Reason = "password-must-change"
	AccountDisabled    Reason = "account-disabled"
	// NotNow: not at this hour or not from this place.
	NotNow Reason = "not-now"
)

// Refusal is ErrRefused with a reason that may be told, because only somebody
// who knows the password gets it.
type Refusal struct{ Reason Reason }

// Error implements error.
func (r *Refusal) Error() string { return ErrRefused.Error() + ": " + string(r.Reason) }

// Unwrap makes a Refusal one of the ways of not being let in.
func (r *Refusal) Unwrap() error { return ErrRefused }
