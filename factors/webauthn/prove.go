package webauthn

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"

	"github.com/go-webauthn/webauthn/protocol"
	library "github.com/go-webauthn/webauthn/webauthn"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/internal/account"
)

// Prepare implements factors.Factor. All keys of the account that answer to
// this site are asked at once.
func (f *Factor) Prepare(_ context.Context, scope factors.Scope, held []account.Credential, state factors.State, _ bool) (factors.Prompt, factors.State, error) {
	own := keysOf(held, scope.RelyingParty)
	if len(own) == 0 {
		return factors.Prompt{}, nil, factors.ErrUnavailable
	}
	p, err := pendingOf(proving, scope, state)
	if err != nil {
		p = newPending(proving, scope)
	}
	prompt, err := assertionPrompt(scope, p, protocol.VerificationPreferred, descriptors(own))
	if err != nil {
		return factors.Prompt{}, nil, err
	}
	if len(own) == 1 {
		prompt.Label = own[0].credential.Label
	}
	state, err = p.state()
	return prompt, state, err
}

// Invite implements factors.Recogniser. No key is named, so that the answer
// says nothing about anybody (§14.6.3).
func (f *Factor) Invite(scope factors.Scope) ([]byte, factors.State, error) {
	p := newPending(inviting, scope)
	prompt, err := assertionPrompt(scope, p, protocol.VerificationRequired, nil)
	if err != nil {
		return nil, nil, err
	}
	state, err := p.state()
	return prompt.Options, state, err
}

func assertionPrompt(scope factors.Scope, p pending, verification protocol.UserVerificationRequirement, allowed []protocol.CredentialDescriptor) (factors.Prompt, error) {
	wa, err := relyingParty(scope)
	if err != nil {
		return factors.Prompt{}, err
	}
	assertion, _, err := wa.BeginDiscoverableLogin(library.WithChallenge(p.Challenge), library.WithUserVerification(verification),
		func(o *protocol.PublicKeyCredentialRequestOptions) error {
			o.AllowedCredentials = allowed
			o.Timeout = int(PendingTTL.Milliseconds())
			return nil
		})
	if err != nil {
		return factors.Prompt{}, fmt.Errorf("webauthn: begin ceremony: %w", err)
	}
	return ceremonyPrompt(proving, assertion.Response)
}

// Verify implements factors.Factor (§7.2). The answer has to come from one of
// the held keys.
func (f *Factor) Verify(ctx context.Context, scope factors.Scope, held []account.Credential, state factors.State, answer factors.Answer) (factors.Verified, error) {
	p, err := pendingOf(proving, scope, state)
	if err != nil {
		return factors.Verified{}, err
	}
	parsed, err := assertion(scope, answer)
	if err != nil {
		return factors.Verified{}, err
	}
	own := keysOf(held, scope.RelyingParty)
	at := slices.IndexFunc(own, func(k key) bool { return bytes.Equal(k.record.ID, parsed.RawID) })
	if at < 0 {
		return factors.Verified{}, factors.ErrWrongAnswer
	}
	return f.accept(ctx, scope, own[at], asserted{parsed, p, protocol.VerificationPreferred})
}

// Recognise implements factors.Recogniser (§7.2 step 6): the answer names its
// owner by the user handle, and the person was verified.
func (f *Factor) Recognise(ctx context.Context, scope factors.Scope, state factors.State, answer factors.Answer) (factors.Verified, error) {
	p, err := pendingOf(inviting, scope, state)
	if err != nil {
		return factors.Verified{}, err
	}
	parsed, err := assertion(scope, answer)
	if err != nil {
		return factors.Verified{}, err
	}
	c, err := f.Store.CredentialByHandle(ctx, handleOf(parsed.RawID))
	if errors.Is(err, account.ErrNotFound) {
		return factors.Verified{}, factors.ErrWrongAnswer
	}
	if err != nil {
		return factors.Verified{}, fmt.Errorf("webauthn: look for the key: %w", err)
	}
	own := keysOf([]account.Credential{c}, scope.RelyingParty)
	if len(own) == 0 || !bytes.Equal(own[0].record.User, parsed.Response.UserHandle) {
		return factors.Verified{}, factors.ErrWrongAnswer
	}
	return f.accept(ctx, scope, own[0], asserted{parsed, p, protocol.VerificationRequired})
}

func assertion(scope factors.Scope, answer factors.Answer) (*protocol.ParsedCredentialAssertionData, error) {
	text, err := posted(answer)
	if err != nil {
		return nil, err
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(text)
	if err != nil {
		return nil, factors.ErrWrongAnswer
	}
	return parsed, exactly(parsed.Response.CollectedClientData, scope.Site)
}

// asserted is an answer that has been read, and what it was asked for.
type asserted struct {
	*protocol.ParsedCredentialAssertionData
	pending      pending
	verification protocol.UserVerificationRequirement
}

// accept verifies the signature of one key and moves its counter.
func (f *Factor) accept(ctx context.Context, scope factors.Scope, k key, a asserted) (factors.Verified, error) {
	wa, err := relyingParty(scope)
	if err != nil {
		return factors.Verified{}, err
	}
	flags := a.Response.AuthenticatorData.Flags
	if a.verification == protocol.VerificationRequired && !flags.HasUserVerified() {
		return factors.Verified{}, factors.ErrUnverified
	}
	_, err = wa.ValidateLogin(person{handle: k.record.User, keys: []library.Credential{k.library()}}, library.SessionData{
		Challenge: base64.RawURLEncoding.EncodeToString(a.pending.Challenge), RelyingPartyID: scope.RelyingParty, UserID: k.record.User,
		AllowedCredentialIDs: [][]byte{k.record.ID}, UserVerification: a.verification,
	}, a.ParsedCredentialAssertionData)
	if err != nil {
		return factors.Verified{}, factors.ErrWrongAnswer
	}
	used, err := f.use(ctx, scope, k.credential.ID, a.Response.AuthenticatorData)
	if err != nil {
		return factors.Verified{}, err
	}
	return factors.Verified{Credential: used, UserVerified: flags.HasUserVerified()}, nil
}

// use moves the counter and keeps the backup state (§7.2 steps 18, 22, 27). A
// counter that stays or goes back is a sign of a copy; of a key that is
// synchronised there are copies by design.
func (f *Factor) use(ctx context.Context, scope factors.Scope, id account.CredentialID, data protocol.AuthenticatorData) (account.Credential, error) {
	wentBack := false
	used, err := f.Store.UseCredential(ctx, id, scope.Now, func(c *account.Credential) error {
		r, err := recordOf(*c)
		if err != nil {
			return err
		}
		counter := int64(data.Counter)
		wentBack = counter <= c.Counter && (counter != 0 || c.Counter != 0)
		if wentBack && !r.BackupEligible {
			return factors.ErrCloned
		}
		c.Counter = max(c.Counter, counter)
		r.BackedUp = data.Flags.HasBackupState()
		c.Secret, err = r.secret()
		return err
	})
	switch {
	case errors.Is(err, factors.ErrCloned):
		return account.Credential{}, err
	case errors.Is(err, account.ErrNotFound): // removed a moment ago
		return account.Credential{}, factors.ErrWrongAnswer
	case err != nil:
		return account.Credential{}, fmt.Errorf("webauthn: use the key: %w", err)
	}
	if wentBack && f.Suspect != nil {
		f.Suspect(ctx, used)
	}
	return used, nil
}
