// Package pagetest is what tests of the gateway's pages stand on, without Caddy
// and without a network: a new SQLite store with its keys, sessions and trail,
// a clock that moves when a test says so, and a browser that keeps cookies and
// finds the forms of a page.
//
// It knows no room's pages: a rig of the room's own wires them over a Bench,
// and gives them to the Browser. Only tests of rooms with pages import it.
package pagetest
