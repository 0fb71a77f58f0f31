// Package keys holds the key ring of the gateway: the one file whose secrets
// seal what the store and the browser keep, authenticate what comes back, and
// sign the identity assertion.
//
// It owns the key file, the derivation of one subkey for each use and
// purpose, sealing, MACs, the keys of cookies, the assertion's signature with
// its public keys, and rotation. It does not own what is sealed, where it is
// kept, or when a rotation is due. Any package of ours may import it; it
// imports nothing of ours.
//
// # The file
//
// Text, mode 0600. Lines that begin with # are comments, every other line is
// one key, oldest first:
//
//	v1 ID CREATED SECRET [primary]
//
// ID is derived from the secret, so a line altered by accident is noticed.
// The key marked primary is used for everything new; where none is marked it
// is the last. All others still open, verify and are published. A key behind
// the primary is prepared: the file can be copied to every node before the
// first of them begins to write with it.
//
// # Derivation
//
// Each secret is extracted once (HKDF, RFC 5869 §2.2) and expanded (§2.3)
// into a subkey for each use (sealing, MAC, cookie, assertion, identifier,
// check) and, within the first three, each purpose. A purpose is a fixed word
// of the calling package; what is sealed for one opens for no other.
package keys
