// Stepgate is Caddy with the Stepgate module in it, and the short forms of
// the module's commands: `stepgate user add`, where another Caddy that has
// the module says `caddy stepgate user add`.
package main
