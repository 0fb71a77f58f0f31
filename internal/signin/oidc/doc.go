// Package oidc is the sign-in source of an OpenID Connect issuer.
//
// It owns the way there and back: the authorization code flow (OpenID Connect
// Core §3.1) with PKCE (RFC 7636), a state and a nonce of one departure, and
// what of the ID token becomes an identity. It keeps nothing of anybody. What
// a departure must remember travels as Departure state, which the caller seals
// in the browser that departed and hands back once; an answer that another
// browser brings has no such state and is refused.
//
// Accounts are keyed by the issuer's `sub`. That the issuer is the configured
// one is checked three times: in its discovery document, in the answer's `iss`
// (RFC 9207), and in the ID token. So an answer of one issuer is never taken
// for another's. Only signatures by keys that the issuer publishes count, never
// `none` and never one made with the client's secret.
//
// A logout token (OpenID Connect Back-Channel Logout §2.4) names a subject, a
// session of the issuer, or both. Anybody may send one, so that the issuer's
// keys are not read for it at a stranger's pace.
package oidc
