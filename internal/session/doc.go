// Package session is what a browser carries: the session cookie, the proofs
// made so far, and the memory that lets a session seen before pass without a
// read of the store.
//
// It owns the session's life: beginning, rising, idling out, ending, and how
// a change made elsewhere (another node, a command) reaches this process. It
// does not decide what a session is good for (package policy) and knows no
// pages.
//
//	state       entered by            left by
//	current     Begin, Raise          Raise, End, idle or absolute limit
//	superseded  Raise of a successor  10 seconds later
//	ended       End, limits           8 hours later: until then the store
//	                                  knows whose it was
//
// The session's cookie is sealed by securecookie, under keys that the ring
// derives for it, while the gateway's other cookies are sealed by Ring.Seal.
// That format was given: it is what outlives an upgrade in every browser, and
// its codecs are tried key by key without the ring's own header. There is
// nothing in the cookie but 256 random bits (SP 800-63B-4 §5.1.1), of
// which the store has a hash. New cookies are of Ring.Seal's format.
package session
