// Package local is the sign-in source of the gateway's own accounts.
//
// It compares passwords and nothing else: accounts are made, changed and
// suspended by package people, failures are counted by package throttle. A
// refused sign-in takes the time of one password hash and gives one answer,
// whether the name is unknown, the account suspended or without a password,
// or the password wrong.
//
// One thing can be told apart by a patient stranger: after the cost of hashes
// was changed, an account that has not signed in since still costs the old
// time. Its next sign-in makes the hash anew.
package local
