// Package delivery brings messages to people: the Message, the Sender that a
// provider implements, and the Outbox through which everything goes out.
//
// It owns how often a message is tried and when it is given up. It does not
// own what a message says, who may get one (budgets are charged before), or
// where a queued one waits (Store). Packages below this one are the
// providers in this build; a third party's is any Sender, see
// docs/extending.md.
//
// # What happens to a message
//
//	the provider says          a text                  an e-mail
//	accepted                   deleted                 deleted
//	ErrTemporary               given up                tried again, later and later
//	ErrPermanent, ErrRefused   given up                given up
//	anything else, no answer   given up                tried again
//
// A text is handed to the provider once, whatever happens: after a lost
// answer or a crash nobody knows whether it went out, and a second text for
// one request must never be sent. The person asks for another, which is
// another request with another code. An e-mail may arrive twice after a
// crash, with the same content.
//
// The outbox keeps a message sealed and deletes it once it is over. It and
// Message print a mark in place of content wherever they are printed.
package delivery
