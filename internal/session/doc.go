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
package session
