// Package factors is the contract between a kind of proof and the ceremonies
// that ask for it, and the registry of the kinds a gateway offers.
//
// A factor enrols credentials, prepares a challenge and verifies an answer.
// It never renders: it returns a Prompt of one of few shapes and package
// challenge owns one page per shape, so a new factor needs no page. It never
// throttles: challenge spends from the budgets before it asks a factor to
// compare anything. Each factor lives in a package of its own below this one
// and is registered in caddymodule/wire.go.
package factors
