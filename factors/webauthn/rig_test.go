package webauthn_test

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/factors/webauthn"
	"github.com/stepgate/stepgate/internal/account"
)

const (
	site = "https://portal.example.gov"
	rpID = "portal.example.gov"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// keyring is a store of credentials in memory.
type keyring struct {
	mu   sync.Mutex
	kept []account.Credential
}

func (k *keyring) CredentialByHandle(_ context.Context, handle string) (account.Credential, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, c := range k.kept {
		if c.Handle == handle {
			return c, nil
		}
	}
	return account.Credential{}, account.ErrNotFound
}

func (k *keyring) UseCredential(_ context.Context, id account.CredentialID, now time.Time, use func(*account.Credential) error) (account.Credential, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i, c := range k.kept {
		if c.ID != id {
			continue
		}
		if err := use(&c); err != nil {
			return account.Credential{}, err
		}
		c.LastUsedAt = now
		k.kept[i] = c
		return c, nil
	}
	return account.Credential{}, account.ErrNotFound
}

func (k *keyring) of(owner account.ID) []account.Credential {
	k.mu.Lock()
	defer k.mu.Unlock()
	var own []account.Credential
	for _, c := range k.kept {
		if c.Account == owner {
			own = append(own, c)
		}
	}
	return own
}

// fixture is one account at one site, in one session.
type fixture struct {
	*testing.T
	*webauthn.Factor
	store     *keyring
	scope     factors.Scope
	state     factors.State
	suspected int
}

func newFixture(t *testing.T) *fixture {
	f := &fixture{T: t, store: new(keyring)}
	f.Factor = &webauthn.Factor{Store: f.store, Suspect: func(context.Context, account.Credential) { f.suspected++ }}
	f.scope = factors.Scope{
		Account: account.Account{ID: "JO", Username: "jo", Name: "Jo Bloggs"}, Session: "S1", Site: site, RelyingParty: rpID,
		RelyingPartyName: "The Portal", Purpose: "step-up", Transaction: "T1", Now: noon,
	}
	return f
}

func (f *fixture) held() []account.Credential { return f.store.of(f.scope.Account.ID) }

func read(t *testing.T, text []byte) asked {
	t.Helper()
	var a asked
	if err := json.Unmarshal(text, &a); err != nil {
		t.Fatal(err)
	}
	return a
}

func (f *fixture) beginEnrolment() asked {
	f.Helper()
	prompt, state, err := f.BeginEnrolment(f.Context(), f.scope, f.held(), nil, factors.Answer{})
	if err != nil {
		f.Fatal(err)
	}
	f.state = state
	return read(f.T, prompt.Options)
}

func answerOf(text string) factors.Answer {
	return factors.Answer{Fields: map[string]string{"credential": text}}
}

func (f *fixture) confirm(text string) (account.Credential, error) {
	return f.ConfirmEnrolment(f.Context(), f.scope, f.held(), f.state, answerOf(text))
}

// enrol enrols a key for the account of the fixture.
func (f *fixture) enrol(k *softKey) account.Credential {
	f.Helper()
	c, err := f.confirm(k.create(f.beginEnrolment()))
	if err != nil {
		f.Fatal(err)
	}
	c.ID, c.Account = account.NewCredentialID(), f.scope.Account.ID
	f.store.kept = append(f.store.kept, c)
	return c
}

func (f *fixture) prepare() asked {
	f.Helper()
	prompt, state, err := f.Prepare(f.Context(), f.scope, f.held(), nil, false)
	if err != nil {
		f.Fatal(err)
	}
	f.state = state
	return read(f.T, prompt.Options)
}

func (f *fixture) verify(text string) (factors.Verified, error) {
	return f.Verify(f.Context(), f.scope, f.held(), f.state, answerOf(text))
}

func (f *fixture) refuses(text string, want error) {
	f.Helper()
	if _, err := f.verify(text); !errors.Is(err, want) {
		f.Errorf("error is %v, want %v", err, want)
	}
}
