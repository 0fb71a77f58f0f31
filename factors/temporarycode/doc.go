// Package temporarycode is the factor of codes that an administrator, or the
// command line, issues to somebody who has nothing else at hand: one use, a
// short life, counted from when it was made.
//
// It owns the code: how it looks, how long it lives, what is kept of it (a
// keyed hash of its 60 random bits with a salt, sealed with its row). Who may
// issue one, to whom and why is package people's. A temporary code is no
// possession factor, yet it authorises what knowledge does not: enrolment
// and changes of credentials (contract, section 7), because whoever issued it
// has looked at who is asking.
//
// A person cannot enrol it, so the factor is no factors.Enroller.
package temporarycode
