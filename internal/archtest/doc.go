// Package archtest holds the house to its dependency rule: which room may
// import which, who speaks to Caddy and to SQL, and what no room does.
//
// It has no code but its test. The rule is the table in rule_test.go: one
// line a room, with its reason where the line is not plain. A change that
// needs a new arrow adds it there and says why.
//
// The test reads the import lines of every Go file of the module, for all
// systems and tags, rather than asking the go command: what it read then
// belongs to the cached result, and a wrong arrow is seen at the next run.
package archtest
