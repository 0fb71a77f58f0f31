// Package password keeps passwords: how they are hashed and compared, and
// which are refused when one is chosen.
//
// It owns no storage and no accounts. Sign-in source local hashes with a
// Hasher; pages and commands that set a password ask Rules first. It does not
// throttle by who asks (package throttle); the Hasher only bounds how much
// memory hashing takes at once.
//
// Passwords are compared as the exact bytes of their NFC form: not trimmed,
// not folded, not cut (SP 800-63B-4 §3.1.1.2). Hashes are PHC strings of
// argon2id with their parameters, so that a dearer setting takes hold at the
// next sign-in of each account.
package password
