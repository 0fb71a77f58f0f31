package policy

import "slices"

// Factor is a kind of proof. Its text is the word of the Caddyfile, of the
// store and of page paths.
type Factor string

// The factors, from the contract's section 1.
const (
	Password          Factor = "password" // whatever the sign-in source checked
	TOTP              Factor = "totp"
	WebAuthn          Factor = "webauthn"
	SMS               Factor = "sms"
	Email             Factor = "email"
	BackupCode        Factor = "backup_code"
	SecurityQuestions Factor = "security_questions"
	PIN               Factor = "pin"
	DevicePIN         Factor = "device_pin"
	TemporaryCode     Factor = "temporary_code"
)

// Factors lists all of them, strongest first: the order in which a page
// offers what the person has no preference about.
func Factors() []Factor {
	return []Factor{WebAuthn, TOTP, DevicePIN, SMS, Email, BackupCode, TemporaryCode, SecurityQuestions, PIN, Password}
}

// Known tells whether f is one of the factors.
func (f Factor) Known() bool { return slices.Contains(Factors(), f) }

// Possession tells whether f proves that the person holds something: what
// "a second factor" means. Codes from a list and knowledge do not.
func (f Factor) Possession() bool {
	switch f {
	case TOTP, WebAuthn, SMS, Email, DevicePIN:
		return true
	default:
		return false
	}
}

// several tells whether one person can hold more than one credential of f, so
// that a level may ask for two of them.
func (f Factor) several() bool {
	switch f {
	case TOTP, WebAuthn, SMS, Email:
		return true
	default:
		return false
	}
}
