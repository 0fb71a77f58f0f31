package delivery

import "errors"

// What a Sender says when a message was not accepted. Wrap them with %w.
var (
	// ErrTemporary is for now: the provider is busy, over quota, or was not
	// reached at all. The same message may be accepted later.
	ErrTemporary = errors.New("delivery: not accepted now")
	// ErrPermanent is for good, and not because of the address: wrong
	// credentials, a sender that is not allowed. The operator has to act.
	ErrPermanent = errors.New("delivery: not accepted")
	// ErrRefused is for this address for good: it does not exist, or has
	// opted out. The person may give another.
	ErrRefused = errors.New("delivery: address refused")
	// ErrFull says that too many messages wait already.
	ErrFull = errors.New("delivery: outbox full")
)
