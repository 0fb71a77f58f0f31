// Package smtp is the provider that hands e-mail to a mail server (RFC 5321,
// submission of RFC 6409).
//
// TLS is required and the server's certificate verified, but for a server on
// this machine's own loopback: there TLS is used where it is offered, and
// what it presents is not verified, for nothing leaves the machine.
package smtp
