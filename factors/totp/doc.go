// Package totp is the factor of authenticator apps: time-based codes of six
// digits (RFC 6238 with SHA-1 and steps of 30 seconds, the profile that every
// app knows).
//
// A code is accepted in its own step, the one before and the one after, and
// each step once for each credential, on all nodes: the credential's Counter
// is the last step used and moves only through Steps. The step that confirms
// an enrolment counts as used.
//
// The package draws no pictures (the page draws the otpauth URI) and counts
// no failures (package throttle).
package totp
