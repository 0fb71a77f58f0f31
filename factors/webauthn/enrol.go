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
	"github.com/stepgate/stepgate/policy"
)

// maxIDBytes is the longest credential ID that there may be (§7.1 step 25).
const maxIDBytes = 1023

// BeginEnrolment implements factors.Enroller. The challenge stays the same
// while it is fresh, so that a page loaded again can still be answered.
func (f *Factor) BeginEnrolment(_ context.Context, scope factors.Scope, held []account.Credential, state factors.State, _ factors.Answer) (factors.Prompt, factors.State, error) {
	p, err := pendingOf(enrolling, scope, state)
	if err != nil {
		p = newPending(enrolling, scope)
		p.User = userOf(held)
	}
	wa, err := relyingParty(scope)
	if err != nil {
		return factors.Prompt{}, nil, err
	}
	creation, _, err := wa.BeginRegistration(person{handle: p.User, owner: scope.Account}, f.creation(p, keysOf(held, scope.RelyingParty)))
	if err != nil {
		return factors.Prompt{}, nil, fmt.Errorf("webauthn: begin enrolment: %w", err)
	}
	prompt, err := ceremonyPrompt(enrolling, creation.Response)
	if err != nil {
		return factors.Prompt{}, nil, err
	}
	state, err = p.state()
	return prompt, state, err
}

func (f *Factor) creation(p pending, enrolled []key) library.RegistrationOption {
	return func(o *protocol.PublicKeyCredentialCreationOptions) error {
		o.Challenge = p.Challenge
		o.Parameters = algorithms
		o.Timeout = int(PendingTTL.Milliseconds())
		o.CredentialExcludeList = descriptors(enrolled)
		o.AuthenticatorSelection = protocol.AuthenticatorSelection{
			ResidentKey: protocol.ResidentKeyRequirementPreferred, UserVerification: protocol.VerificationPreferred,
		}
		o.Attestation = protocol.PreferNoAttestation
		if len(f.AllowedModels) > 0 {
			o.Attestation = protocol.PreferDirectAttestation
		}
		return nil
	}
}

// userOf is the account's user handle: that of its keys, or a new one.
func userOf(held []account.Credential) []byte {
	for _, c := range held {
		if c.Factor != string(policy.WebAuthn) {
			continue
		}
		if r, err := recordOf(c); err == nil {
			return r.User
		}
	}
	return newUser()
}

// ConfirmEnrolment implements factors.Enroller (§7.1). A key that any account
// has is factors.ErrTaken.
func (f *Factor) ConfirmEnrolment(ctx context.Context, scope factors.Scope, held []account.Credential, state factors.State, answer factors.Answer) (account.Credential, error) {
	made, p, err := f.made(scope, state, answer)
	if err != nil {
		return account.Credential{}, err
	}
	handle := handleOf(made.ID)
	switch _, err := f.Store.CredentialByHandle(ctx, handle); {
	case err == nil:
		return account.Credential{}, factors.ErrTaken
	case !errors.Is(err, account.ErrNotFound):
		return account.Credential{}, fmt.Errorf("webauthn: look for the key: %w", err)
	}
	r := record{
		ID: made.ID, PublicKey: made.PublicKey, RelyingParty: scope.RelyingParty, User: p.User, Model: made.Authenticator.AAGUID,
		BackupEligible: made.Flags.BackupEligible, BackedUp: made.Flags.BackupState,
	}
	for _, t := range made.Transport {
		r.Transports = append(r.Transports, string(t))
	}
	secret, err := r.secret()
	if err != nil {
		return account.Credential{}, fmt.Errorf("webauthn: write record: %w", err)
	}
	return account.Credential{
		Factor: string(policy.WebAuthn), Label: name(answer.Fields["label"], r, held, scope.Language), Secret: secret, Handle: handle,
		Counter: int64(made.Authenticator.SignCount),
	}, nil
}

// made verifies that a key was made for this ceremony.
func (f *Factor) made(scope factors.Scope, state factors.State, answer factors.Answer) (*library.Credential, pending, error) {
	p, err := pendingOf(enrolling, scope, state)
	if err != nil {
		return nil, p, err
	}
	text, err := posted(answer)
	if err != nil {
		return nil, p, err
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(text)
	if err != nil {
		return nil, p, factors.ErrWrongAnswer
	}
	if err := exactly(parsed.Response.CollectedClientData, scope.Site); err != nil {
		return nil, p, err
	}
	wa, err := relyingParty(scope)
	if err != nil {
		return nil, p, err
	}
	made, err := wa.CreateCredential(person{handle: p.User, owner: scope.Account}, library.SessionData{
		Challenge: base64.RawURLEncoding.EncodeToString(p.Challenge), RelyingPartyID: scope.RelyingParty, UserID: p.User,
		UserVerification: protocol.VerificationPreferred, CredParams: algorithms,
	}, parsed)
	if err != nil || len(made.ID) == 0 || len(made.ID) > maxIDBytes {
		return nil, p, factors.ErrWrongAnswer
	}
	if !f.allows(made.Authenticator.AAGUID) {
		return nil, p, factors.ErrModel
	}
	return made, p, nil
}

// allows tells whether authenticators of a model may be enrolled.
func (f *Factor) allows(model []byte) bool {
	return len(f.AllowedModels) == 0 || slices.ContainsFunc(f.AllowedModels, func(m Model) bool {
		return m != Model{} && bytes.Equal(m[:], model)
	})
}

// name is what the person calls the key, or a name of ours that no other has.
func name(typed string, r record, held []account.Credential, language string) string {
	if own := factors.CleanLabel(typed); own != "" {
		return own
	}
	usual := account.SecurityKey
	if r.BackupEligible || slices.Contains(r.Transports, string(protocol.Internal)) || slices.Contains(r.Transports, string(protocol.Hybrid)) {
		usual = account.Passkey
	}
	for n := 1; ; n++ {
		free := fmt.Sprintf("%s %d", usual.In(language), n)
		if !slices.ContainsFunc(held, func(c account.Credential) bool { return c.Label == free }) {
			return free
		}
	}
}
