package device

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/softtoken"
	"github.com/stepgate/stepgate/policy"
)

// Factor is the factor `device_pin`. Safe for concurrent use.
type Factor struct {
	Store factors.CredentialStore
}

// Kind implements factors.Factor.
func (f *Factor) Kind() policy.Factor { return policy.DevicePIN }

// Usable implements factors.Sieve: a token is for the browser that holds it,
// at its own site, until it ends.
func (f *Factor) Usable(scope factors.Scope, c account.Credential) bool {
	r, err := recordOf(c)
	return err == nil && scope.Device == c.ID && r.live(scope.Site, scope.Now)
}

// options is what the script is given, as JSON in the page.
type options struct {
	// Kind is "use" or "make".
	Kind string `json:"kind"`
	// Key is the name of the token in the browser, Share what it needs beside
	// the PIN, Server the public key that the answer is encrypted to.
	Key       string `json:"key"`
	Share     string `json:"share"`
	Server    string `json:"server"`
	Challenge string `json:"challenge"`
	// The script signs these, and the origin that the browser knows itself.
	Account     account.ID `json:"account"`
	Purpose     string     `json:"purpose"`
	Transaction string     `json:"transaction"`
}

func optionsFor(e softtoken.Exchange, kind, key string, share []byte, scope factors.Scope) ([]byte, error) {
	server, err := e.Server()
	if err != nil {
		return nil, err
	}
	return json.Marshal(options{
		Kind: kind, Key: key, Share: softtoken.Text(share), Server: server, Challenge: softtoken.Text(e.Challenge),
		Account: scope.Account.ID, Purpose: scope.Purpose, Transaction: scope.Transaction,
	})
}

// statementOf is what a token signs in a scope.
func statementOf(kind string, scope factors.Scope, challenge []byte) softtoken.Statement {
	return softtoken.Statement{
		Kind: kind, Origin: scope.Site, Account: string(scope.Account.ID), Purpose: scope.Purpose, Transaction: scope.Transaction, Challenge: challenge,
	}
}

// mine is the token of the browser that asks.
func (f *Factor) mine(scope factors.Scope, held []account.Credential) (account.Credential, record, error) {
	for _, c := range held {
		if c.Factor == string(policy.DevicePIN) && f.Usable(scope, c) {
			r, err := recordOf(c)
			return c, r, err
		}
	}
	return account.Credential{}, record{}, factors.ErrUnavailable
}

// Prepare implements factors.Factor.
func (f *Factor) Prepare(_ context.Context, scope factors.Scope, held []account.Credential, state factors.State, _ bool) (factors.Prompt, factors.State, error) {
	c, r, err := f.mine(scope, held)
	if err != nil {
		return factors.Prompt{}, nil, err
	}
	var e softtoken.Exchange
	if json.Unmarshal(state, &e) != nil || len(e.Private) == 0 {
		if e, err = softtoken.NewExchange(); err != nil {
			return factors.Prompt{}, nil, err
		}
		if state, err = json.Marshal(e); err != nil {
			return factors.Prompt{}, nil, err
		}
	}
	text, err := optionsFor(e, "use", r.Key, r.Share, scope)
	return factors.Prompt{Shape: factors.ShapePIN, Factor: policy.DevicePIN, Label: c.Label, Options: text, Script: script}, state, err
}

// script is the name of the script that the page needs.
const script = "device"

// Verify implements factors.Factor. The try is counted in the write that
// judges the signature, before anybody learns what it was: of tries at once,
// on however many nodes, ten are judged. factors.ErrDestroyed says that this
// one was the last. An answer to another challenge, or one that nobody has
// encrypted to this ceremony, holds no guess and is not counted.
func (f *Factor) Verify(ctx context.Context, scope factors.Scope, held []account.Credential, state factors.State, answer factors.Answer) (factors.Verified, error) {
	c, _, err := f.mine(scope, held)
	if err != nil {
		return factors.Verified{}, err
	}
	var e softtoken.Exchange
	if json.Unmarshal(state, &e) != nil {
		return factors.Verified{}, factors.ErrExpired
	}
	signature, err := e.Open(answer.Fields["credential"])
	if errors.Is(err, softtoken.ErrLetter) {
		return factors.Verified{}, factors.ErrExpired
	} else if err != nil {
		return factors.Verified{}, err
	}
	var outcome error
	used, err := f.Store.UseCredential(ctx, c.ID, scope.Now, func(c *account.Credential) error {
		outcome, err = judge(c, scope, signature, e.Challenge)
		return err
	})
	switch {
	case errors.Is(err, account.ErrNotFound): // revoked a moment ago
		return factors.Verified{}, factors.ErrDestroyed
	case err != nil:
		return factors.Verified{}, fmt.Errorf("use a soft token: %w", err)
	case outcome != nil:
		return factors.Verified{}, outcome
	default:
		return factors.Verified{Credential: used}, nil
	}
}

// judge counts a try of a token and judges it. The outcome is what the answer
// is worth; err is technical, and then nothing is kept.
func judge(c *account.Credential, scope factors.Scope, signature, challenge []byte) (outcome, err error) {
	r, err := recordOf(*c)
	if err != nil {
		return nil, err
	}
	if !r.live(scope.Site, scope.Now) {
		return factors.ErrDestroyed, nil
	}
	right, err := r.Judge(statementOf("use", scope, challenge), signature)
	switch {
	case err != nil:
		return nil, fmt.Errorf("read a public key: %w", err)
	case !right && r.Live():
		outcome = factors.ErrWrongAnswer
	case !right:
		outcome = factors.ErrDestroyed
	}
	c.Secret, err = r.secret()
	return outcome, err
}

// Interface guards.
var (
	_ factors.Sieve    = (*Factor)(nil)
	_ factors.Resident = (*Factor)(nil)
)
