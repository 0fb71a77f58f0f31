// Package file is the provider that writes messages to a file in place of
// sending them: for demonstrations and tests. Whoever can read the file reads
// every code.
package file
