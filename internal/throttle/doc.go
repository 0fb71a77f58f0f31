// Package throttle keeps budgets: of wrong answers and of messages sent. It
// owns the arithmetic of attempts and delays; the store only keeps counters,
// so that all nodes share them. Challenge spends here before it asks a factor
// or a sign-in source to compare anything; factors and sources need not know.
package throttle
