// Package account holds people and organisations as data: accounts, their
// roles, their credentials, and how a name is compared.
//
// It owns the types, their invariants and the folding of names. It does not
// own what may be done to an account (package people), how a factor is proved
// (package factors) or where the data is kept (package store). Everyone may
// import it; it imports nothing of ours.
package account
