// Package authenticator is the app on people's phones, as static files, and
// what it asks of the gateway.
//
// It lives on a host of its own (`stepgate_authenticator`): whatever shares the
// portal's origin can be read by a script in the portal. The app is a web page
// that works without a network once it was opened: it shows codes of any
// otpauth://totp, which the gateway never hears of, and requests for approval of
// the phones that were paired with this gateway (package approval).
//
// All that the app asks is a POST of JSON from its own origin, but for the events:
//
//	/api/pair           ticket → what a phone needs to make its key
//	/api/pair/offer     ticket, key and name → a bearer secret and check digits
//	/api/requests       bearer → what waits
//	/api/events         GET, bearer → what waits, whenever it changes
//	/api/approve        bearer, request, number, signature → what came of it
//	/api/deny           bearer, request
//	/api/subscription   bearer, where the phone can be told that something waits
//
// An error is {"error": WORD}; the app has the words for it. The bearer secret
// lists and refuses; to approve takes the key behind the PIN.
package authenticator
