// Package storetest is what every store must pass: Run holds an
// implementation of store.Store to the contracts that the rooms declare, one
// promise a test. It knows nothing of how a store keeps its data; what only
// an implementation can look at (files, sealed columns) it tests itself. Crashes
// is for tests of what a kill leaves half done.
package storetest
