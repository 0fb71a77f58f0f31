// Package webhook is the provider that posts a message as JSON to an address
// of the operator's: a gateway of their own, or a provider without a package
// here.
//
// # The request
//
// POST with Content-Type application/json and Idempotency-Key, the message's
// ID. With a secret it carries
//
//	Stepgate-Signature: t=UNIX,v1=HEX
//
// where HEX is the HMAC-SHA-256 under the secret of the time, a dot and the
// body's bytes. The receiver compares it in constant time and refuses times
// more than five minutes from its own.
//
// # The answer
//
//	2xx                accepted
//	429, 503           not now
//	422                the address is refused
//	3xx, other 4xx     not accepted; redirects are not followed
//	anything else      nobody knows
package webhook
