// Package legacyform watches the login form of a legacy app: what a request
// is to it, what the app's answer says, and who that was.
//
// It owns the reading of a submit, the conditions by which an answer is
// judged, and the identity. It forwards nothing and keeps nothing: the
// package watched does, and asks here.
//
//	what a request is   needs a session   what becomes of it
//	LoginPage           no                goes to the app as on a public path
//	Submit              no                goes to the app, whose answer is judged
//	SignOut             no                goes to the app; a good answer ends the session
//	Stray               -                 refused: a name and a password elsewhere, a form that may be another
//	Elsewhere           as the policy     goes its way
//
// Whoever runs the app trusts what the app says: an answer counts. Whoever
// sends requests is not trusted: everything that a request has is read in
// every way, and has to be one thing only.
package legacyform
