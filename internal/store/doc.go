// Package store is the union of the storage contracts that the rooms declare,
// for wiring. The contracts themselves stand beside their consumers.
package store
