package webauthn

import (
	"crypto/rand"
	"encoding/json"
	"time"

	"github.com/stepgate/stepgate/factors"
)

const (
	// PendingTTL is how long a challenge waits for its answer (§15.1 wants
	// five to ten minutes where the person may have to look for their key).
	PendingTTL     = 10 * time.Minute
	challengeBytes = 32
	userBytes      = 64
)

// The kinds of ceremony. An answer to one is none to another.
const (
	enrolling = "create"
	proving   = "get"
	inviting  = "invite"
)

// pending is a challenge that waits for its answer, with all that it is bound
// to. The ceremony keeps it as State, sealed.
type pending struct {
	Kind      string    `json:"kind"`
	Challenge []byte    `json:"challenge"`
	At        time.Time `json:"at"`
	// User is the user handle that a new key is made for.
	User []byte `json:"user,omitempty"`
	// Scope of the challenge.
	Account      string `json:"account,omitempty"`
	Session      string `json:"session,omitempty"`
	Site         string `json:"site"`
	RelyingParty string `json:"rp"`
	Purpose      string `json:"purpose"`
	Transaction  string `json:"transaction,omitempty"`
}

func newPending(kind string, scope factors.Scope) pending {
	p := pending{
		Kind: kind, Challenge: make([]byte, challengeBytes), At: scope.Now.UTC(),
		Account: string(scope.Account.ID), Session: scope.Session, Site: scope.Site, RelyingParty: scope.RelyingParty,
		Purpose: scope.Purpose, Transaction: scope.Transaction,
	}
	rand.Read(p.Challenge) // never fails: the program ends instead
	return p
}

// pendingOf reads a state back and checks that it was made for this kind and
// scope and is young enough: factors.ErrExpired otherwise, for a new challenge
// has to be asked for in every case.
func pendingOf(kind string, scope factors.Scope, state factors.State) (pending, error) {
	var p pending
	if json.Unmarshal(state, &p) != nil || len(p.Challenge) != challengeBytes {
		return pending{}, factors.ErrExpired
	}
	same := p.Kind == kind && p.Account == string(scope.Account.ID) && p.Session == scope.Session && p.Site == scope.Site &&
		p.RelyingParty == scope.RelyingParty && p.Purpose == scope.Purpose && p.Transaction == scope.Transaction
	if age := scope.Now.Sub(p.At); !same || age < -time.Minute || age >= PendingTTL {
		return pending{}, factors.ErrExpired
	}
	return p, nil
}

func (p pending) state() (factors.State, error) { return json.Marshal(p) }

// newUser makes a user handle.
func newUser() []byte {
	user := make([]byte, userBytes)
	rand.Read(user) // never fails: the program ends instead
	return user
}
