// Package gate is the request's way from the browser to the app and back, as
// far as it needs no Caddy: which headers of a client never arrive, what may
// ask for another protocol, and what becomes of the app's answer.
//
//	HeaderSet.StripRequest   first of all, on every path
//	ReadHandshake            next: a complete WebSocket handshake, or none
//	Answer                   around the app, from Begin to End; headerSteps is
//	                         what becomes of its header, in order
//
// It decides nothing: that is for package policy. It knows no store: a Site
// tells it whether a session lives. caddymodule hands it what only Caddy
// knows, and nobody else calls it.
package gate
