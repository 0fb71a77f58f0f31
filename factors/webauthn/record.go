package webauthn

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"

	"github.com/go-webauthn/webauthn/protocol"
	library "github.com/go-webauthn/webauthn/webauthn"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/policy"
)

var errRecord = errors.New("webauthn: unreadable record of a key")

// record is what is kept of a key (Credential Record, §4): the Secret of its
// credential, as JSON. The signature counter is the credential's Counter.
type record struct {
	// ID is the credential ID that the authenticator chose.
	ID        []byte `json:"id"`
	PublicKey []byte `json:"public_key"`
	// RelyingParty is the RP ID that the key answers to.
	RelyingParty string `json:"rp"`
	// User is the user handle: the same 64 random bytes for all keys of an
	// account.
	User           []byte   `json:"user"`
	Transports     []string `json:"transports,omitempty"`
	Model          []byte   `json:"aaguid,omitempty"`
	BackupEligible bool     `json:"be,omitempty"`
	BackedUp       bool     `json:"bs,omitempty"`
}

func recordOf(c account.Credential) (record, error) {
	var r record
	if json.Unmarshal(c.Secret.Reveal(), &r) != nil || len(r.ID) == 0 || len(r.PublicKey) == 0 || len(r.User) != userBytes {
		return record{}, errRecord
	}
	return r, nil
}

func (r record) secret() (account.Secret, error) {
	text, err := json.Marshal(r)
	return account.Secret(text), err
}

// handleOf is how a credential ID is found in the store.
func handleOf(id []byte) string {
	sum := sha256.Sum256(id)
	return "webauthn " + base64.RawURLEncoding.EncodeToString(sum[:])
}

// key is a credential with its record.
type key struct {
	credential account.Credential
	record     record
}

// keysOf are the keys among held that answer to a relying party. One that
// cannot be read is none.
func keysOf(held []account.Credential, relyingParty string) []key {
	var own []key
	for _, c := range held {
		if c.Factor != string(policy.WebAuthn) {
			continue
		}
		if r, err := recordOf(c); err == nil && r.RelyingParty == relyingParty {
			own = append(own, key{c, r})
		}
	}
	return own
}

// library gives the key as the library wants it.
func (k key) library() library.Credential {
	c := library.Credential{ID: k.record.ID, PublicKey: k.record.PublicKey, Flags: library.CredentialFlags{
		BackupEligible: k.record.BackupEligible, BackupState: k.record.BackedUp,
	}}
	for _, t := range k.record.Transports {
		c.Transport = append(c.Transport, protocol.AuthenticatorTransport(t))
	}
	return c
}

// descriptors tell the browser which keys are meant, or enrolled already.
func descriptors(keys []key) []protocol.CredentialDescriptor {
	list := make([]protocol.CredentialDescriptor, 0, len(keys))
	for _, k := range keys {
		c := k.library()
		list = append(list, c.Descriptor())
	}
	return list
}

// person is an account as the library wants it.
type person struct {
	handle []byte
	owner  account.Account
	keys   []library.Credential
}

func (p person) WebAuthnID() []byte                        { return p.handle }
func (p person) WebAuthnName() string                      { return p.owner.Username }
func (p person) WebAuthnCredentials() []library.Credential { return p.keys }

func (p person) WebAuthnDisplayName() string {
	if p.owner.Name != "" {
		return p.owner.Name
	}
	return p.owner.Username
}
