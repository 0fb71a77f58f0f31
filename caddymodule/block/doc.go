// Package block reads the blocks of a Caddyfile: options by their words, each
// once, with errors that name file and line, say what was expected, and know
// the nearest word. Every parser of this module is made of its parts.
//
// It knows no option of the gateway.
package block
