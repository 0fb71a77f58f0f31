package people

import (
	"errors"

	"github.com/stepgate/stepgate/internal/account"
)

// What an Error is about; compare with errors.Is. Besides these it can be
// account.ErrNotFound, account.ErrTaken or account.ErrInUse.
var (
	// ErrInvalid says that what was asked can never be right, whatever the
	// store holds: a malformed address, an unknown role.
	ErrInvalid = errors.New("people: invalid")
	// ErrForbidden says that the actor may not do this.
	ErrForbidden = errors.New("people: forbidden")
	// ErrRefused says that this cannot be done to that account or
	// organisation as things are.
	ErrRefused = errors.New("people: refused")
	// ErrStale says that the account has changed since whoever asks saw it.
	ErrStale = errors.New("people: changed meanwhile")
	// ErrWaiting says that it was asked for, and waits until somebody else
	// approves: see People.TwoPerson.
	ErrWaiting = errors.New("people: waits for approval")
	// ErrUnchecked says that a helpdesk has to check first who is calling.
	ErrUnchecked = errors.New("people: caller not checked")
)

// Error is an answer of "no". Everything else that the verbs return is a
// technical failure, and nothing was changed in either case.
type Error struct {
	// Text says what is wrong, Mend how to put it right; both are for the
	// operator or administrator who asked.
	Text, Mend Phrase
	// Field is the field of a form that it is about; empty for none.
	Field string
	kind  error
}

// Error joins both texts.
func (e *Error) Error() string {
	return e.whole().String()
}

// In is both texts in a language of a site.
func (e *Error) In(language string) string { return e.whole().In(language) }

// whole is both texts as one.
func (e *Error) whole() Phrase {
	if e.Mend.Empty() {
		return e.Text
	}
	return say("%s: %s", e.Text, e.Mend)
}

// Unwrap gives the sentinel that the error is about.
func (e *Error) Unwrap() error { return e.kind }

func invalid(text, mend Phrase) error   { return &Error{Text: text, Mend: mend, kind: ErrInvalid} }
func forbidden(text, mend Phrase) error { return &Error{Text: text, Mend: mend, kind: ErrForbidden} }
func refused(text, mend Phrase) error   { return &Error{Text: text, Mend: mend, kind: ErrRefused} }
func stale(name string) error {
	return &Error{Text: say("somebody has changed account %q meanwhile", name), Mend: say("look at it again"), kind: ErrStale}
}

func taken(text, mend Phrase) error { return &Error{Text: text, Mend: mend, kind: account.ErrTaken} }

func noAccount(name, nearest string) error {
	mend := say("list those there are with `user list`")
	if nearest != "" {
		mend = say("did you mean %q?", nearest)
	}
	return &Error{Text: say("there is no account %q", name), Mend: mend, kind: account.ErrNotFound}
}

func noOrganisation(name, nearest string) error {
	mend := say("make it with `organisation add %s`", name)
	if nearest != "" {
		mend = say("did you mean %q? Otherwise make it with `organisation add %s`", nearest, name)
	}
	return &Error{Text: say("there is no organisation %q", name), Mend: mend, kind: account.ErrNotFound}
}

// about says which field of a form an error is about.
func about(field string, err error) error {
	var no *Error
	if errors.As(err, &no) {
		no.Field = field
	}
	return err
}

// unlessTechnical replaces a sentinel of the store by the text for it, where
// the two speak of the same, and leaves every other error alone.
func unlessTechnical(err, text error) error {
	if kind := errors.Unwrap(text); kind != nil && errors.Is(err, kind) {
		return text
	}
	return err
}
