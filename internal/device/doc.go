// Package device is one browser profile as one account knows it: unknown,
// public or private.
//
// It owns the words, the cookie by which a browser says whose private device it
// is, how a device is named, and how long it is one. A device is private by its
// soft token (package factors/device), which is a credential of the account:
// the cookie only says which of them to ask for, and proves nothing. A public
// device is public for one session and is remembered nowhere.
package device
