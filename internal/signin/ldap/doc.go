// Package ldap is the sign-in source of a directory: LDAP servers and Active
// Directory.
//
// It owns the way to the servers (order, time-outs, TLS, connections that are
// used again), the search for the person, the comparison of the password by a
// bind as that person, and what of the entry becomes an identity. It keeps
// nothing of anybody: failures are counted by package throttle, accounts are
// made by package people.
//
// A password is compared in two steps. The search, as the directory's reader,
// finds at most one entry by a filter into which the typed name goes escaped
// (RFC 4515 §3). The bind, on another connection, is as the entry that was
// found (RFC 4513 §5.1.3). Empty passwords never reach a server: RFC 4513
// §5.1.2 makes of them a bind that succeeds without comparing anything. A name
// that finds nobody costs a bind as well, as an entry that does not exist.
//
// Accounts are keyed by entryUUID (RFC 4530) or objectGUID, never by a name or
// a DN: both can pass to somebody else. An entry without such an identifier
// signs nobody in.
package ldap
