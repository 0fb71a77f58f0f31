// Package trusted is the sign-in source of whatever an earlier Caddy handler
// has authenticated: basic_auth, a client certificate, forward_auth, or a proxy
// in front that names people in a request header.
//
// It owns the decision whether such a value is to be believed. A value that
// only an earlier handler can have set is. A request header is believed where
// the immediate peer is one of Caddy's trusted_proxies, or where the operator
// says that an earlier handler sets it (`from earlier_handler`); from anybody
// else it is what a client wrote.
//
// The value is both the person's identifier and their name: there is nothing
// else to know them by. Nobody is refused here: no value means nobody.
package trusted
