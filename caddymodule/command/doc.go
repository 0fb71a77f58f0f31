// Package command is the gateway's own commands: `user`, `policy`, `audit`,
// `legacy`, `demo` and the rest. A command parses its line, has an operation
// done by the running gateway or on the store, and prints what came of it.
//
// What is done is package operation's; how a configuration is read is the
// Caddy module's, which says so by Use. Exit codes are 0, 1 for an answer
// that is no, and 2 for a line that can never be right.
package command
