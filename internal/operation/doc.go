// Package operation is what can be asked of a running gateway or of a store:
// one list of verbs for the commands, for the admin endpoint that they come
// by, and for the pages of administrators.
//
// An operation is done at a Place, in the name of its Actor: the operator for
// a command, somebody's account for a page. What is done to people is done by
// package people, which holds the actor to their role. Input and output cross
// the endpoint as JSON; an error keeps its kind on the way, as an Answer.
//
// The package knows nothing of command lines, of HTTP or of Caddy.
package operation
