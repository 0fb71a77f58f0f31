// Package watched is one step of a request's way: the app's own login, and the
// app's cookies and tokens held to the session that they belong to.
//
//	Site.Submit   a name and a password on their way to the app, and what
//	              becomes of its answer
//	Site.Hold     any other request: what of its cookies and tokens may go
//	Answer        what the app says to that, on its way back
//	Leaving       what it says to its own sign-out
//	Held, Spool   an answer that waits until the app was asked
//	Asker         how the app is asked who somebody is
//
// What a request is to the login, and what an answer says, is package
// legacyform's word; whose a cookie is, package weld's. Package gate decides
// before and afterwards, and nobody else calls this package.
package watched
