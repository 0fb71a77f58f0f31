package factors

import (
	"context"

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
