// Package backupcode is the factor of backup codes: ten codes that a person
// keeps on paper for the day on which nothing else is at hand. Each works
// once; new codes void the old.
//
// The ten are one credential, for they are one sheet of paper: two of them
// are not two proofs by different credentials. They are made by the gateway
// and shown once; kept is a keyed hash of each (HMAC-SHA-256 with the key
// ring, which is not in the store) with a salt of the set, sealed with the
// row. A code has 80 random bits. SP 800-63B-4 §3.1.2.2 wants a password hash
// for anything below 112 bits, because a thief of the store could try
// guesses. Here they could not without the key; and with store and key, 2⁷⁹
// tries of HMAC remain, which no password hash of fewer bits would outdo.
//
// The package counts no failures (package throttle) and sends no message: it
// names the notice "backup-code-used" and the ceremony tells the person.
package backupcode
