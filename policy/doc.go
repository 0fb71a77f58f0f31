// Package policy decides what a request needs and whether that is there.
//
// It owns levels, rules, conditions and their compiled form. It is pure: no
// clock of its own, no I/O, no HTTP types beyond method and target. Readings
// of a request target come from policy/target; Caddy's matchers reach it as a
// Condition.
//
// # The walk of a decision
//
// Compile makes a Policy of a Config, or says all that is wrong with it.
// Decide then asks, for every reading of every target of a Request and for
// every method that it may be taken for, which rules hold:
//
//   - the most specific pattern, found by walking a tree segment by segment
//     (tree.go), and of its rules those that name the method;
//   - every query rule whose path and query match: these only add;
//   - where nothing matched, the default.
//
// What they need is one set of levels. A reading that is denied denies.
// Unless all readings are public, raises and the requirements of organisation
// and account are added. The set is compared with the levels that the
// session's proofs meet (met.go), which the handler keeps for as long as
// MetUntil says. Where facts are missing, where a condition errs or a form
// cannot be read, more is needed, never less.
//
// # A slash at the end
//
// Servers take "/cases/" for "/cases" or for a place of its own. A request
// with a slash at its end needs what both need; a pattern with one matches
// with and without it.
//
// # A script and what follows it
//
// Of "/admin.php/x" the server runs "/admin.php", so that rules for exactly
// that path, by a literal or a glob, add what they ask for. Subtrees and the
// default do not: what they say of the script they say of the whole path as
// well, or a deeper pattern has said otherwise. So `require mfa /admin.php`
// holds whatever stands behind the script, and beside `require mfa
// /index.php/*` a deeper `public /index.php/help /help` is public.
//
// # What it does not own
//
// How a target may be read and which are refused (policy/target), the score
// behind Risk (policy/risk), what authors ask of a policy (policy/author),
// how a missing level is proved (challenge), and what the browser is told
// (the handler). Every room but those below it may call it; a Policy is safe
// for concurrent use, a Request belongs to one goroutine.
package policy
