package source

import (
	"context"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/signin"
)

// Module is a module of the namespace stepgate.sign_in. It is provisioned and
// validated like any other, also by `validate`, and so opens nothing then.
type Module interface {
	caddy.Module
	// Name is the source's name. Accounts are keyed by it and by the source's
	// own identifier of the person, so that it must stay what it is. Two
	// sources of a site have two names.
	Name() string
	// Open gives the source, once the gateway's store is open and before the
	// first sign-in of the site. It waits for nobody: a server that is down
	// is for the sign-in to say. What the source holds open ends when Caddy
	// cleans the module up (caddy.CleanerUpper).
	Open(ctx context.Context, o Opening) (Source, error)
}

// Opening is what a gateway lends to a source of one of its sites.
type Opening struct {
	// Origin is the site's, as browsers write it.
	Origin string
	// Local compares names and passwords of the gateway's own accounts.
	Local PasswordChecker
	// Log is the configuration's. Nothing that is written to it has a
	// password, a code or a token in it.
	Log *zap.Logger
}

// NameKeyed is a Module that may know people by nothing but a name: the
// folded username is then the account's key, and an operator can add accounts
// for it by name.
type NameKeyed interface {
	Module
	SubjectIsName() bool
}

// A source implements what it can do: one or more of PasswordChecker, Asserter
// and Redirector, and for people whom it has let in SubjectChecker,
// PasswordChanger and Rechecker. The rest of the contract is with these types.
type (
	Source          = signin.Source
	Identity        = signin.Identity
	PasswordChecker = signin.PasswordChecker
	SubjectChecker  = signin.SubjectChecker
	PasswordChanger = signin.PasswordChanger
	Rechecker       = signin.Rechecker
	Person          = signin.Person
	Asserter        = signin.Asserter
	Lookup          = signin.Lookup
	Redirector      = signin.Redirector
	Departure       = signin.Departure
	Return          = signin.Return
	// Secret is text that no log and no error shows; Reveal gives it.
	Secret = account.Secret
)

// What a source answers where somebody is not signed in. Every other error is
// technical: the page says that signing in does not work now.
var (
	ErrRefused = signin.ErrRefused
	ErrNobody  = signin.ErrNobody
	// ErrUnsuitable is for a chosen password that the source does not take.
	ErrUnsuitable = signin.ErrUnsuitable
)
