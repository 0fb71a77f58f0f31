// Package signin says what a sign-in source is: who is at the door.
//
// It owns the small capabilities a source may have and the words it answers
// with. A source implements those it can do and no others:
//
//	capability       a source can                                    sources
//	PasswordChecker  compare a name and a password                   local, ldap, upstream_basic
//	PasswordBound    and nobody signs in without the password        upstream_basic
//	SubjectChecker   compare it for somebody who is known by now     ldap
//	PasswordChanger  put another password in its place               ldap
//	Rechecker        tell later whether somebody may still be here   ldap
//	Asserter         tell from a request who somebody else let in    trusted
//	Redirector       send the browser to an issuer and back          oidc, saml
//	Receiver         take what the browser has to post from there    saml
//	LogoutHearer     hear that somebody signed out there             oidc, saml
//	Ender            sign somebody out there                         oidc, saml
//	Observer         watch the legacy app's own form and its answer  legacy_form
//	Boxed            and the form is a box of the browser's          upstream_basic
//
// A source only says who it is. It keeps no session, creates no account and
// counts no failures: challenge spends from the budgets before it asks, and
// turns an Identity into an account by Source and Subject. Nothing here is
// what the person typed, except where a source says so itself.
//
// Every way of not being let in is ErrRefused, so that nobody learns which
// names exist. Everything else is technical: the source could not tell.
package signin
