// Package ceremony is a ceremony as data: the stored Transaction of one of
// its steps, the Continuation that remembers what was interrupted, and what a
// proof was made for.
//
// Pages (package challenge, and those of accounts and administrators) and
// stores both know it, and need not know each other. It draws no page, asks
// no factor and keeps nothing itself.
package ceremony
