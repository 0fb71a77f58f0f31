package people

import (
	"context"
	"fmt"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
)

const (
	// tokenFactor is the factor of tokens for programs.
	tokenFactor = "token"
	// MaxTokens is how many an account has at most.
	MaxTokens = 50
	// MaxTokenLife is how long one lives at most, DefaultTokenLife where
	// nothing is said.
	MaxTokenLife     = 366 * 24 * time.Hour
	DefaultTokenLife = 90 * 24 * time.Hour
)

// Tokens makes tokens for programs.
type Tokens interface {
	// New returns the credential to keep and the token, which is kept nowhere.
	// An error says what is wrong with the bounds.
	New(owner account.ID, label string, bounds account.TokenBounds, now time.Time) (account.Credential, account.Secret, error)
}

// NewToken is a token that somebody asks for.
type NewToken struct {
	// Label says what it is for.
	Label  string              `json:"label"`
	Bounds account.TokenBounds `json:"bounds"`
}

// IssuedToken is a token that was made: shown once, to whoever asked for it.
type IssuedToken struct {
	Account    account.Account
	Credential account.Credential
	Token      account.Secret
}

// AddToken makes a token for a program that acts as an account, such as one
// that nobody signs in to.
func (p *People) AddToken(ctx context.Context, actor Actor, who Who, n NewToken, reason string) (IssuedToken, error) {
	var made IssuedToken
	err := p.changeAccount(ctx, actor, who, ActManage, func(tx Tx, _ Actor, a account.Account) (audit.Event, error) {
		var err error
		if made, err = p.makeToken(ctx, tx, a, n); err != nil {
			return audit.Event{}, err
		}
		e := accountEvent(audit.TokenCreated, a, reason, tokenDetail(n.Bounds)...)
		e.Factor, e.Credential = tokenFactor, string(made.Credential.ID)
		return e, p.tell(ctx, tx, p.Notices, Notice{What: ToldTokenAdded, Account: a, Credential: made.Credential, From: Whence{Staff: true}})
	})
	if err != nil {
		return IssuedToken{}, err
	}
	p.Notices.wake()
	return made, nil
}

func (p *People) makeToken(ctx context.Context, tx Tx, a account.Account, n NewToken) (IssuedToken, error) {
	switch {
	case p.Tokens == nil:
		return IssuedToken{}, refused(say("this gateway makes no tokens"), Phrase{})
	case n.Label == "":
		return IssuedToken{}, invalid(say("a token needs a name"), say("say what it is for"))
	case a.Suspended():
		return IssuedToken{}, refused(say("account %q is suspended", a.Username), say("resume it first"))
	}
	now := p.now()
	if n.Bounds.EndsAt.IsZero() {
		n.Bounds.EndsAt = now.Add(DefaultTokenLife)
	}
	if !n.Bounds.EndsAt.After(now) || n.Bounds.EndsAt.Sub(now) > MaxTokenLife {
		return IssuedToken{}, invalid(say("a token lives for at most a year"), say("let it end sooner, and make another then"))
	}
	held, err := tx.Credentials(ctx, a.ID)
	if err != nil {
		return IssuedToken{}, fmt.Errorf("list credentials: %w", err)
	}
	count := 0
	for _, c := range held {
		if c.Factor == tokenFactor {
			count++
		}
	}
	if count >= MaxTokens {
		return IssuedToken{}, refused(say("an account has at most %d tokens", MaxTokens), say("revoke one first"))
	}
	credential, secret, err := p.Tokens.New(a.ID, n.Label, n.Bounds, now)
	if err != nil {
		return IssuedToken{}, invalid(say("%s", err.Error()), Phrase{})
	}
	if err := tx.InsertCredential(ctx, credential); err != nil {
		return IssuedToken{}, fmt.Errorf("keep the token: %w", err)
	}
	return IssuedToken{Account: a, Credential: credential, Token: secret}, nil
}

func tokenDetail(b account.TokenBounds) []audit.Field {
	return []audit.Field{{Key: "paths", Value: fmt.Sprint(b.Paths)}, {Key: "methods", Value: fmt.Sprint(b.Methods)}, {Key: "addresses", Value: fmt.Sprint(b.Addresses)}}
}

// RevokeToken takes a token of an account away: within a second it opens
// nothing any more, on any node.
func (p *People) RevokeToken(ctx context.Context, actor Actor, who Who, id account.CredentialID, reason string) (account.Account, error) {
	var owner account.Account
	err := p.changeAccount(ctx, actor, who, ActManage, func(tx Tx, _ Actor, a account.Account) (audit.Event, error) {
		owner = a
		c, err := dropToken(ctx, tx, a, id)
		if err != nil {
			return audit.Event{}, unlessTechnical(err, &Error{Text: say("%s has no token %q", a.Username, id), Mend: say("list those there are with `user token list`"), kind: account.ErrNotFound})
		}
		e := accountEvent(audit.TokenRevoked, a, reason)
		e.Factor, e.Credential = tokenFactor, string(id)
		return e, p.tell(ctx, tx, p.Notices, Notice{What: ToldTokenRevoked, Account: a, Credential: c, From: Whence{Staff: true}})
	})
	p.Notices.wake()
	return owner, err
}

// dropToken is account.ErrNotFound where the account has no such token.
func dropToken(ctx context.Context, tx Tx, a account.Account, id account.CredentialID) (account.Credential, error) {
	held, err := tx.Credentials(ctx, a.ID)
	if err != nil {
		return account.Credential{}, fmt.Errorf("list credentials: %w", err)
	}
	for _, c := range held {
		if c.ID == id && c.Factor == tokenFactor {
			return c, tx.DeleteCredential(ctx, id)
		}
	}
	return account.Credential{}, account.ErrNotFound
}

// AddToken makes a token for a program of the person's own.
func (s *Self) AddToken(ctx context.Context, own Own, n NewToken) (IssuedToken, error) {
	var made IssuedToken
	err := s.change(ctx, own, func(tx Tx, a account.Account) (doing, error) {
		var err error
		if made, err = s.People.makeToken(ctx, tx, a, n); err != nil {
			return doing{}, err
		}
		return doing{event: audit.TokenCreated, told: ToldTokenAdded, credential: made.Credential, detail: tokenDetail(n.Bounds)}, nil
	})
	if err != nil {
		return IssuedToken{}, err
	}
	return made, nil
}

// RevokeToken takes a token of the person's own away; account.ErrNotFound
// where they have no such token.
func (s *Self) RevokeToken(ctx context.Context, own Own, id account.CredentialID) error {
	return s.change(ctx, own, func(tx Tx, a account.Account) (doing, error) {
		c, err := dropToken(ctx, tx, a, id)
		return doing{event: audit.TokenRevoked, told: ToldTokenRevoked, credential: c}, err
	})
}
