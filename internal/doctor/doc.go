// Package doctor asks a running site what an attacker would ask it, without
// harm: it signs nobody in, guesses nothing and changes nothing.
//
// It owns the probes and what their answers mean. What a request should lead
// to is the policy's own word, by package author; whatever is in front of the
// site is met as a browser would meet it.
package doctor
