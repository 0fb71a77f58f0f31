// Package telemetry lets a trace that somebody else began (Caddy's `tracing`)
// see the steps of the gateway: what it looked for, decided, asked the store
// and sent. It begins no trace, chooses no exporter and keeps nothing; without
// a trace that is recorded a step costs one look into the context.
//
// Names of spans and their attributes never hold a name, an address, a path or
// a secret. Everyone may import it.
package telemetry
