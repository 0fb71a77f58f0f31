// Package gate is the request's way from the browser to the app and back, free
// of Caddy. Handler.ServeHTTP has it on one screen: strip what only the gateway
// may say, read the target in every way, serve the gateway's own pages, find
// the visitor, decide, and then pass on, challenge or refuse.
//
//	HeaderSet.StripRequest   first of all, on every path
//	passage                  what one request needs on its way, its readings among it
//	visitor                  who it comes from, from memory if seen before
//	Answer                   around the app, from Begin to End; headerSteps is
//	                         what becomes of its header, in order
//
// What is decided is package policy's word; how more is proved, package
// challenge's. A Server tells what only the server around the gate knows of a
// request; caddymodule is that server, and nobody else calls this package.
package gate
