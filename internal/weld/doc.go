// Package weld knows which cookies of the legacy app belong to which session
// of the gateway.
//
// A value that an accepted login issued is bound to the session that the
// login began. From then on it reaches the app with that session alone, on
// public paths too, also when the session has ended: whoever stole it holds
// nothing. The store keeps keyed hashes, never values.
//
//	a value under a session cookie's name is   public path   other paths
//	bound to the session of the request        passes        passes
//	another session's, or one's that ended     withheld      withheld
//	offered by the app in this session         passes        withheld until confirmed
//	anything else                              passes        withheld
//
// It owns the names, the bonds, the reading and writing of cookie lines (so
// that no parser of the app finds another cookie than the ones judged here),
// session ids in URLs, and the sealing of cookies for one session. It does
// not know when a login was accepted or who a person is: package legacyform
// judges that, and package watched brings the two together.
package weld
