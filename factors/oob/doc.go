// Package oob holds the factors that send a one-time code: by text message
// (sms) and by e-mail (email).
//
// It owns the codes (six digits, uniform from crypto/rand, kept as keyed
// MACs), when another may be sent, which numbers and addresses are accepted,
// and the words of the messages. It does not own sending (package delivery),
// the budgets of messages (the port Budget), failures (package throttle,
// which challenge spends from), or any page.
//
// # One code
//
// A code is bound to the account, the session, the purpose, the ceremony's
// transaction, the site and the address that it was sent to: all of these are
// in the MAC. There is one place for an account, session, purpose and factor,
// and what is sent last replaces what was there. It is good once, for its
// lifetime, and for five tries. Asking for another resets none of the counts
// of package throttle.
//
// Another code may be asked for 30 seconds after the first, then after 1, 2
// and 5 minutes; five go out in one transaction.
//
// # How strong they are
//
// SP 800-63B-4 §3.1.3.3 restricts codes by text message: whoever gets hold of
// the number reads them. The pages offer other factors beside, and say so.
//
// SP 800-63B-4 §3.1.3.1 does not accept e-mail as an out-of-band
// authenticator at all: a mailbox is often opened by the same password, or on
// the same device. We offer it because portals in use have it and because it
// proves that an address is somebody's. The built-in level `mfa` does not
// accept it; an operator who adds it (`also email`) is told by `policy lint`.
package oob
