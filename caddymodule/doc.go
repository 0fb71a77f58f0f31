// Package caddymodule is the only room that speaks Caddy: the app "stepgate",
// the handler "http.handlers.stepgate", the Caddyfile, the admin endpoint and
// the commands.
//
// It wires the other rooms together (wire.go is the composition root) and is
// the porch of the request's way: handler.go hands every request to package
// gate, and server.go tells it what only Caddy knows. It decides nothing about
// people, factors or levels itself.
package caddymodule
