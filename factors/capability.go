package factors

import (
	"context"
	"time"

	"github.com/stepgate/stepgate/internal/account"
)

// Sieve is a factor of which some credentials cannot be used now or here: run
// out, spent, or enrolled for another site. All credentials of a factor that
// is no Sieve can be used.
type Sieve interface {
	Factor
	// Usable tells whether c could be proved in this scope. It compares no
	// secret and asks nobody.
	Usable(scope Scope, c account.Credential) bool
}

// Recogniser is a factor that can be the sign-in by itself: its answer says
// whose it is.
type Recogniser interface {
	Factor
	// Invite makes what the sign-in page's script needs, before anyone is
	// known: scope has neither account nor session. The ceremony seals the
	// state into the page, so nothing is kept for a stranger.
	Invite(scope Scope) (options []byte, state State, err error)
	// Recognise checks an answer to Invite and returns the credential, whose
	// Account is who it is. Unknown credentials and wrong answers are the
	// same ErrWrongAnswer. The caller lets a state pass once only.
	Recognise(ctx context.Context, scope Scope, state State, answer Answer) (Verified, error)
}

// Lister is a factor whose credential is a list of codes that the gateway
// makes. They are shown once; afterwards only what compares them is left.
type Lister interface {
	Factor
	// NewList makes the credential to be stored in place of the account's
	// earlier one, and the codes to show.
	NewList(scope Scope) (account.Credential, []string, error)
	// ReadList gives codes as they were shown, or false where one of them is
	// none that this factor could have made. It compares them with nothing.
	ReadList(codes []string) bool
}

// Resident is a factor whose secret one browser keeps: it is made where it is
// to be used, together with the person's PIN, and asked for there at once. The
// ceremony keeps the state of one that is being made as it keeps any other.
type Resident interface {
	Sieve
	// Invite gives what the page's script needs to make a secret, with the
	// state to remember. With that state it gives the same again.
	Invite(scope Scope, state State) (options []byte, next State, err error)
	// Offer checks what the script has made, the answer's `credential`, and
	// returns the state that remembers it. Nothing is enrolled by that.
	Offer(scope Scope, state State, answer Answer) (State, error)
	// Offered tells the browser's name for what is being made, and whether it
	// has been offered.
	Offered(state State) (key string, ready bool)
	// Settle makes the credential of what was offered, under a name, until a
	// moment. ErrExpired says that nothing was.
	Settle(scope Scope, state State, name string, ends time.Time) (account.Credential, error)
	// Ends is when a credential of the factor ends; zero for one that has
	// been destroyed.
	Ends(c account.Credential) time.Time
}

// Progress is how far an answer has come that comes another way than by the
// page's form.
type Progress string

// The words of progress. The form that goes on works once it is Ready.
const (
	ProgressNone        Progress = ""
	ProgressWaiting     Progress = "waiting"
	ProgressReady       Progress = "ready"
	ProgressDenied      Progress = "denied"
	ProgressWrongNumber Progress = "wrong-number"
	ProgressOver        Progress = "over"
)

// Momentary is a factor that keeps nothing of a challenge: Prepare remembers
// nothing, and Verify looks neither at a state nor at the transaction.
type Momentary interface {
	Factor
	// Momentary does nothing: it says so.
	Momentary()
}

// Waiting is a factor whose answer comes from elsewhere: the page waits for it,
// and its form only fetches it. Verify and ConfirmEnrolment give ErrPending
// before.
type Waiting interface {
	Factor
	// Progress tells how far the challenge, or the enrolment, of a state is.
	// It changes nothing, and is asked about twice a second of every page that
	// waits.
	Progress(ctx context.Context, state State, now time.Time) (Progress, error)
}

// Swift is a factor whose Verify takes no time, as hashing a password does, and
// asks nobody but the stores that it was made with, by the context that it is
// given. It may so be a part of the write that charges the try.
type Swift interface {
	Factor
	// Swift does nothing: it says so.
	Swift()
}
