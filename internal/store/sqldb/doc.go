// Package sqldb keeps everything in an SQL database: one implementation of
// store.Store, with SQLite and PostgreSQL as its two dialects.
//
// It owns the schema and its migrations, the write path that makes commits
// durable, the order of the feed of changes, and the sealing of secrets at
// rest. It does not own what any of the data means. Package caddymodule and
// the commands open it; everyone else sees the small contracts beside the
// packages whose data it keeps.
//
// # Writing
//
// On SQLite one goroutine commits. Callers that wait take turns in one
// transaction, each in a savepoint of its own, and one commit makes them all
// durable. On PostgreSQL what the one writer gives on SQLite is given by
// advisory locks: everything passed to Update runs one after the other, on all
// nodes (it appends to one audit chain anyway), everything about one account
// waits for what else is about that account, and the feed's head is moved last,
// so that changes become visible in the order of their numbers. Who comes to
// Update while a node waits for its turn, or commits, shares the transaction
// of its next turn, as on SQLite; other writers have transactions of their own.
//
// What a transaction sends there without asking for an answer goes out with
// its next question or with its end, so that a caller costs few round trips.
//
// # SQL
//
// SQL stands beside the method that runs it and is the same for both
// dialects. SQLite takes $1 for a name and numbers names by their first
// appearance, so placeholders first appear in their order; a test holds that.
// Times are nanoseconds since 1970 in UTC, 0 for the zero time.
//
// # At rest
//
// A credential's secret and address, a transaction's state and a message that
// waits are sealed, bound to table, column and the columns that say whose they
// are. What does not open is an error, never an empty value. Of a session's
// identifier there is only the hash, of a code only a keyed MAC. What is large
// of a kept request's body is not in an SQLite file but beside it (bodies),
// sealed and bound in the same way.
package sqldb
