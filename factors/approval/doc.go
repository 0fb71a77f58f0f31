// Package approval is the factor `approval`: a request that is shown on the
// person's paired phone and approved there with the number that the browser
// shows.
//
// A phone is paired at enrolment. The page shows a link as a picture; the
// authenticator app (package authenticator) opens it, makes a soft token behind
// the app's PIN (package softtoken) and offers its public key with the phone's
// name. Page and phone then show the same check digits, and the person says on
// the page that this is their phone. The credential keeps the token, and is
// found by the hash of a bearer secret that the app keeps: with that the app asks
// what waits. It approves nothing: that takes the PIN.
//
// A challenge is a Request. It belongs to one account, session, ceremony and
// site, holds for ten minutes, and is spent once. The browser shows its number
// of two digits; the phone shows who asks, for which site, for what, from where
// and when, and the person types the number there. What the phone signs covers
// every byte of what it was given to show, the number that was typed and the
// request itself:
//
//	SHA-256(shown ‖ 0 ‖ number ‖ 0 ‖ challenge)
//
// in the place of the challenge of a soft token's statement, of the kind
// "approve", at the origin of the app.
//
//	open → approved → spent      the right number, the right PIN; the browser goes on
//	open → denied                "this was not me"
//	open → wrong-number          another number: somebody guesses, or was told to
//	open → replaced              the browser asked again
//
// A wrong PIN leaves a request open and counts; the tenth in a row destroys the
// token. At most five requests of an account are open at once, and in the hour
// after a denial one can be asked for each minute: nobody is worn down.
//
// An approval is not phishing-resistant. The number binds the phone to the
// browser that the person looks at, not that browser to the site: a page in
// between can show the number on.
package approval
