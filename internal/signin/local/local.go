package local

import (
	"context"
	"errors"
	"fmt"

	"github.com/stepgate/stepgate/factors/password"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/signin"
)

// Store is what the source asks of whoever keeps accounts.
type Store interface {
	// AccountByUsername finds an account by its folded name, or gives
	// account.ErrNotFound.
	AccountByUsername(ctx context.Context, source, folded string) (account.Account, error)
	// PasswordHash returns the PHC string of an account, "" (or
	// account.ErrNotFound) where there is none.
	PasswordHash(ctx context.Context, id account.ID) (string, error)
	// ReplacePasswordHash sets the hash to next if it still is was, in one
	// transaction, and changes nothing otherwise: a password that was reset
	// in the meantime must not come back.
	ReplacePasswordHash(ctx context.Context, id account.ID, was, next string) error
}

// Source checks passwords of local accounts.
type Source struct {
	Store  Store
	Hasher *password.Hasher
	// Report is told when a hash could not be made anew at a sign-in; the
	// sign-in holds all the same. nil: nobody is told.
	Report func(ctx context.Context, err error)
}

var _ signin.PasswordChecker = (*Source)(nil)

// Name implements signin.Source.
func (s *Source) Name() string { return account.LocalSource }

// CheckPassword implements signin.PasswordChecker. Its technical errors are
// the store's, the context's, password.ErrBusy and password.ErrMalformed.
func (s *Source) CheckPassword(ctx context.Context, username string, typed account.Secret) (signin.Identity, error) {
	found, phc, err := s.find(ctx, username)
	if err != nil {
		return signin.Identity{}, fmt.Errorf("find local account: %w", err)
	}
	if phc == "" {
		if err := s.Hasher.VerifyNobody(ctx, typed); err != nil {
			return signin.Identity{}, err
		}
		return signin.Identity{}, signin.ErrRefused
	}
	ok, err := s.Hasher.Verify(ctx, phc, typed)
	if err != nil {
		return signin.Identity{}, fmt.Errorf("compare password: %w", err)
	}
	if !ok || found.Suspended() {
		return signin.Identity{}, signin.ErrRefused
	}
	if s.Hasher.NeedsRehash(phc) {
		phc = s.rehash(ctx, found.ID, phc, typed)
	}
	who := identity(found)
	who.Password = account.MarkPassword(phc)
	return who, nil
}

// find returns the account of a name and its hash, or zero values and no
// error. The store is asked twice whether or not there is an account.
func (s *Source) find(ctx context.Context, username string) (account.Account, string, error) {
	if account.CheckUsername(username) != nil {
		return account.Account{}, "", nil
	}
	found, err := s.Store.AccountByUsername(ctx, account.LocalSource, account.FoldUsername(username))
	if err != nil && !errors.Is(err, account.ErrNotFound) {
		return account.Account{}, "", err
	}
	phc, err := s.Store.PasswordHash(ctx, found.ID)
	if err != nil && !errors.Is(err, account.ErrNotFound) {
		return account.Account{}, "", err
	}
	if found.ID == "" {
		return account.Account{}, "", nil
	}
	return found, phc, nil
}

// rehash keeps a password that was just verified at the present cost, and
// returns what is kept of it now.
func (s *Source) rehash(ctx context.Context, id account.ID, was string, typed account.Secret) string {
	next, err := s.Hasher.Hash(ctx, typed)
	if err == nil {
		err = s.Store.ReplacePasswordHash(ctx, id, was, next)
	}
	if err == nil {
		return next
	}
	if s.Report != nil {
		s.Report(ctx, fmt.Errorf("hash password anew: %w", err))
	}
	return was
}

func identity(a account.Account) signin.Identity {
	return signin.Identity{
		Source: a.Source, Subject: a.Subject, Username: a.Username,
		Name: a.Name, Email: a.Email, Mobile: a.Mobile, Groups: a.Groups,
	}
}
