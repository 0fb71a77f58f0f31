package signin

import (
	"context"
	"errors"
	"time"

	"github.com/stepgate/stepgate/internal/account"
)

// This file is for what a source can do for somebody whom it has let in before.

// Rechecker can be asked, long after the sign-in, whether a person may still
// be here.
type Rechecker interface {
	Source
	// Recheck returns what the source says of a Subject today, or ErrRefused
	// where it no longer vouches for them. Any other error is technical, and
	// says nothing of the person.
	Recheck(ctx context.Context, subject string) (Identity, error)
	// RecheckEvery is how long somebody who is signed in is believed without
	// being looked up again; 0 for as long as the session lives.
	RecheckEvery() time.Duration
}

// Person is whose password is meant: by Subject where the source has said who
// it is before, else by the name as it was typed.
type Person struct{ Username, Subject string }

// SubjectChecker is a PasswordChecker that compares the password of somebody
// who is known already without going by a name.
type SubjectChecker interface {
	PasswordChecker
	// CheckSubject is CheckPassword for a Subject.
	CheckSubject(ctx context.Context, subject string, password account.Secret) (Identity, error)
}

// CheckKnown compares the password of an account of a source: by what the source
// knows the person by where it can, since the name of the account need not be
// what they type to sign in.
func CheckKnown(ctx context.Context, source PasswordChecker, owner account.Account, password account.Secret) (Identity, error) {
	if known, ok := source.(SubjectChecker); ok && owner.Subject != "" {
		return known.CheckSubject(ctx, owner.Subject, password)
	}
	return source.CheckPassword(ctx, owner.Username, password)
}

// ErrUnsuitable says that a source does not take a password that somebody has
// chosen, by rules of its own: too short, used before, changed a moment ago.
var ErrUnsuitable = errors.New("signin: the source does not take this password")

// PasswordChanger is a PasswordChecker that lets people change their password.
type PasswordChanger interface {
	PasswordChecker
	// ChangesPasswords tells whether the configuration lets them.
	ChangesPasswords() bool
	// ChangePassword puts another password in place of the present one, also
	// of one that has expired or must be changed. ErrRefused says that the
	// present one is wrong or that this account has no use of it, ErrUnsuitable
	// that the chosen one will not do; nothing has changed then. Any other
	// error is technical.
	ChangePassword(ctx context.Context, who Person, present, chosen account.Secret) error
}

// Changes is the source as one that lets people change their password, nil
// where it does not.
func Changes(source Source) PasswordChanger {
	if changer, ok := source.(PasswordChanger); ok && changer.ChangesPasswords() {
		return changer
	}
	return nil
}
