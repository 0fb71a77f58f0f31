// Package audit is the memory of what happened: the names of events, what an
// event may hold, the chain that makes a later change visible, and the
// recorder that everyone writes through.
//
// It does not own where records are kept (the store implements Store), which
// actions have events (each room names its own), or logs: what an operator
// reads to mend the gateway goes to Caddy's log, not here. Any room that does
// something worth remembering may import it; it imports only keys.
//
// # The chain and its store
//
// A record is sealed by Chain.Seal from the last Link and an Event: its Body
// is the event in its one canonical form, its Hash an HMAC under the key ring
// over sequence number, the previous record's Hash and Body. A store appends
// within one write transaction, of which there is one at a time in all nodes:
//
//  1. read the Link (seq, hash) of the row with the highest seq; no row is
//     the zero Link,
//  2. Chain.Seal(link, event); several events follow one another,
//  3. insert Record.Row(): seq (primary key), at, name, reference, account,
//     actor, organisation, body, hash.
//
// at is kept in milliseconds at least. body and hash are kept byte for byte.
// The other columns only serve queries; Verify holds them against the body.
// Rows are never updated. Old ones may be deleted from the front, by age; the
// trail is then verified from a Checkpoint that was exported before.
//
// # What the chain proves
//
// Whoever writes to the store without the key file can alter, remove, insert
// or reorder nothing that Verify would not find, with one exception: records
// cut off at the end leave a shorter chain that is whole. A Checkpoint, kept
// elsewhere, shows that too, for all up to itself. Whoever holds store and
// key can forge history.
package audit
