// Package author is what people who write policies use: explain, lint, test,
// diff and rehearse, all over the same compiled policy that the handler asks.
//
// It owns the words in which a decision is told, assertions and their files,
// findings about a policy, the comparison of two, and what access logs say
// about one. It does not own how a policy is compiled or decides (policy),
// how a target is read (policy/target), where a configuration comes from, or
// findings about anything but the policy: those are the command's. Only
// commands, and the check of assertions at start, call it.
//
// # Facts that are not said
//
// A question and an assertion may leave facts open. The device is then
// unknown, the risk low, and the address one of the range that is reserved
// for documentation: an ordinary first visit from nowhere in particular. What
// was assumed is said. Who it is stays unknown, so that conditions about
// groups and organisations raise, as they do for somebody not signed in.
package author
