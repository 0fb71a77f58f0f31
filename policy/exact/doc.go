// Package exact answers questions about all requests at once: what a policy
// says of every path there is, and in what two policies differ, each with a
// path that shows it.
//
// It owns patterns as automata. The rules of a policy become a trie of
// segments; a walk goes through several tries side by side, as the evaluator
// would for one path, but for every path: at each place it tries one text for
// every set of literals and globs that some segment fits, and none twice.
// What is left to say about a path is a Cell: in order of precedence the
// rules that may decide there. Tries are kept once for each shape (Table), so
// that what two policies have in common is recognised without walking it, and
// rules that are alike cost what one of them costs.
//
// It does not own what rules ask for, conditions, or the words in which
// differences are told: those are policy/author's, which replays through the
// evaluator whatever it finds here. Only policy/author calls it.
//
// # Why paths and not requests
//
// A request has several readings, and needs what all of them need, together.
// If no path needs less than before, then no request does. The other way
// round, a path that needs less is shown by a request whose readings are that
// path alone, which the texts tried here are as far as patterns let them be.
package exact
