package webauthn

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"
	library "github.com/go-webauthn/webauthn/webauthn"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/policy"
)

// Store finds and uses credentials.
type Store interface {
	// CredentialByHandle finds one over all accounts; account.ErrNotFound
	// for none.
	CredentialByHandle(ctx context.Context, handle string) (account.Credential, error)
	// UseCredential lets use look at a credential and alter its Counter and
	// Secret, and keeps these, in one write transaction: each of many uses at
	// once sees what the one before it left. An error of use keeps nothing
	// and is returned as it is.
	UseCredential(ctx context.Context, id account.CredentialID, now time.Time, use func(*account.Credential) error) (account.Credential, error)
}

// Factor is the kind of proof. It is safe for concurrent use.
type Factor struct {
	Store Store
	// AllowedModels are the AAGUIDs of authenticators that may be enrolled;
	// empty for all. With a list, attestation is asked for, and what names no
	// model is refused. The name is the authenticator's own word: no maker's
	// signature is checked.
	AllowedModels []Model
	// Suspect is told of a counter that went back where that alone does not
	// refuse the answer; nil tells nobody.
	Suspect func(ctx context.Context, c account.Credential)
}

var (
	_ factors.Enroller   = (*Factor)(nil)
	_ factors.Recogniser = (*Factor)(nil)
	_ factors.Sieve      = (*Factor)(nil)
)

// Kind implements factors.Factor.
func (f *Factor) Kind() policy.Factor { return policy.WebAuthn }

// Usable implements factors.Sieve: a key answers to its own relying party
// only.
func (f *Factor) Usable(scope factors.Scope, c account.Credential) bool {
	return len(keysOf([]account.Credential{c}, scope.RelyingParty)) > 0
}

// algorithms are those that are offered, and accepted.
var algorithms = []protocol.CredentialParameter{
	{Type: protocol.PublicKeyCredentialType, Algorithm: webauthncose.AlgES256},
	{Type: protocol.PublicKeyCredentialType, Algorithm: webauthncose.AlgEdDSA},
	{Type: protocol.PublicKeyCredentialType, Algorithm: webauthncose.AlgRS256},
}

// relyingParty is the library for one site. Its own clock and timeouts are
// not used: pending has the ceremony's.
func relyingParty(scope factors.Scope) (*library.WebAuthn, error) {
	name := scope.RelyingPartyName
	if name == "" {
		name = scope.RelyingParty
	}
	wa, err := library.New(&library.Config{
		RPID: scope.RelyingParty, RPDisplayName: name, RPOrigins: []string{scope.Site},
		// What a browser adds unasked decides nothing here.
		ExtensionsUnsolicitedOutputPolicy: protocol.UnsolicitedOutputPolicyIgnore,
	})
	if err != nil {
		return nil, fmt.Errorf("webauthn: relying party %s: %w", scope.RelyingParty, err)
	}
	return wa, nil
}

// options are what the script reads: the kind of ceremony, and the options
// for the browser in the form of §5.1.8 and §5.1.9.
type options struct {
	Kind      string `json:"kind"`
	PublicKey any    `json:"publicKey"`
}

func ceremonyPrompt(kind string, publicKey any) (factors.Prompt, error) {
	text, err := json.Marshal(options{kind, publicKey})
	if err != nil {
		return factors.Prompt{}, fmt.Errorf("webauthn: write options: %w", err)
	}
	return factors.Prompt{Shape: factors.ShapeCeremony, Factor: policy.WebAuthn, Script: "webauthn", Options: text}, nil
}

// exactly refuses what the library would still take: an origin that is only
// equal but for letter case, and whatever comes out of a frame of another
// site (§7.2 steps 12 to 14).
func exactly(client protocol.CollectedClientData, site string) error {
	if client.Origin != site || client.CrossOrigin || client.TopOrigin != "" {
		return factors.ErrWrongAnswer
	}
	return nil
}

// maxAnswer bounds what a browser posts, in bytes: attestation with
// certificates has room in it.
const maxAnswer = 32 << 10

func posted(answer factors.Answer) ([]byte, error) {
	text := answer.Fields["credential"]
	if text == "" || len(text) > maxAnswer {
		return nil, factors.ErrWrongAnswer
	}
	return []byte(text), nil
}
