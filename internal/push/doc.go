// Package push tells browsers that something waits for them (Web Push: RFC 8030
// the protocol, RFC 8291 the encryption, RFC 8292 who is sending). It says
// nothing more: what waits is asked for by the app itself.
//
// Where a message goes is what a browser said, which may be anybody's. So an
// endpoint is https, its host is one of the operator's list where there is one,
// and its address is looked at when the connection is made, after the name was
// resolved: only public ones, so that nobody has the gateway send requests
// into the operator's own network. A host that the operator has written out in
// full may be anywhere. No redirect is followed, no proxy used, and no answer
// read.
//
// Messages are sent beside the request that they are for, a few at once, and
// each once: the app asks by itself anyway. Whoever owns a Sender stops it, and
// has no message under way from then on.
package push
