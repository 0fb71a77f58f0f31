// Package saml is the sign-in source of a SAML 2.0 identity provider, for which
// the gateway is the service provider of the Web Browser SSO profile.
//
// It owns the provider's metadata, what is asked of it (a redirect with a
// request, signed where there is a key) and what makes of its posted answer an
// identity: an assertion that the provider has signed, by itself or with the
// answer around it, for this audience, at this address, in answer to this
// request, within its time. XML is read by a library that reads what the
// signature covers and nothing beside it.
//
// Browsers send no cookie with a form that another site makes them post. So
// the answer is checked where it arrives, kept under its own ID, which is how
// each counts once, and taken up by the browser's next request, which brings
// the cookie of the departure. The ID of a request is made of the departure's
// key, so that an answer belongs to one departure of one browser.
//
// Single logout goes both ways (SAML profiles §4.4), by redirects; what we send
// is signed, and so is sent only where there is a key.
package saml
