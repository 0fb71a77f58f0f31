// Package device is the factor `device_pin`: a soft token, which is a P-256 key
// that one browser keeps for one account, locked by the person's PIN.
//
// The browser holds the private key only masked: added, modulo the order of
// the curve, to a number that it derives from the PIN and from a share that
// this package hands out with each challenge. Taking off the number of any
// other PIN leaves another private key, as good as the right one for all that
// the browser can tell; only the public key tells them apart, and that is kept
// here, sealed, and nowhere else. So the PIN never leaves the browser, what a
// browser stores allows no guess without asking, and every guess is an answer
// that is counted here, in the store, in the write that judges it. The tenth
// wrong one in a row destroys the token (SP 800-63B-4 §3.2.10).
//
// An answer is a signature over origin, account, purpose, transaction and
// challenge, encrypted to a key of the ceremony: whoever reads it afterwards,
// in a log or in what a browser remembers of a form, cannot use it to test
// PINs. docs/devices.md has the reasoning and what each attacker can do.
//
// The package keeps no cookie and draws no page. Which browser holds which
// token is the caller's to say (factors.Scope.Device).
package device
