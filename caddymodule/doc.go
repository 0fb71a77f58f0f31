// Package caddymodule is the only room that speaks Caddy: the app "stepgate",
// the handler "http.handlers.stepgate", the Caddyfile, the admin endpoint and
// the commands.
//
// It wires the other rooms together (app.go is the composition root) and owns
// the hot path (handler.go). It decides nothing about people, factors or
// levels itself.
//
// A handler goes through these steps with every request, on one page in
// Handler.ServeHTTP: strip what only the gateway may say, read the target in
// every way, serve the gateway's own pages, find the visitor, decide, and
// then pass on, challenge or refuse.
package caddymodule
