// Package webauthn is the factor of security keys and passkeys (Web
// Authentication Level 3): the one that a look-alike site cannot relay,
// because the browser signs the address that it shows.
//
// It owns the options that a page's script hands to the browser, the checks
// of what the browser posts back, and the record of a key. It draws no page
// and counts no failures. The library go-webauthn decodes and verifies; this
// package decides what is accepted:
//
//	challenge      32 random bytes, ten minutes, bound to session, site,
//	               account, purpose and transaction, redeemed once by the
//	               ceremony (§13.4.3)
//	origin         exactly the site's; cross-origin frames never
//	relying party  the site's, and the one that the key was enrolled at
//	algorithms     ES256, EdDSA, RS256
//	attestation    none, or the makers of a list (AllowedModels)
//	backup flags   BS without BE never; BE never changes (§6.1.3)
//	counter        going back: refused, or only reported for keys that are
//	               synchronised between devices (§6.1.1)
//	user.id        64 random bytes for each account (§14.6.1)
//
// User verification is preferred and recorded: a key that only notices a
// touch is a second proof, never the sign-in. As the sign-in (Invite and
// Recognise) it is required.
package webauthn
