// Package policy decides what a request needs and whether that is there.
//
// It owns levels, rules, conditions and their compiled form. It is pure: no
// clock of its own, no I/O, no HTTP types beyond method and target. Readings
// of a request target come from policy/target; Caddy's matchers reach it as a
// Condition.
package policy
