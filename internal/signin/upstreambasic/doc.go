// Package upstreambasic is for an app that asks with HTTP Basic or Digest
// itself: its 401 is the login, its acceptance the sign-in.
//
// It owns the reading of an Authorization header, so that the gateway and the
// app find the same name in it, and the memory of what was accepted not long
// ago. It compares no password and keeps none: the app does, at every request,
// and the gateway asks it (package gate). Where people type into the gateway's own
// page (Checker), their browser holds the password, sealed.
package upstreambasic
