package oob

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"math/big"
	"time"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/policy"
)

const (
	// digits of a code (SP 800-63B-4 §3.1.3.2: at least six).
	digits = 6
	// maxTries end a code, maxSends a transaction's sending.
	maxTries = 5
	maxSends = 5
)

// waits are how long after the n-th code the next may be asked for.
var waits = []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute}

// Slot is a place for one code.
type Slot struct {
	Account account.ID
	// Session is the session's public ID; before there is one it names the
	// transaction, so that strangers do not replace each other's codes.
	Session string
	Purpose string
	Factor  policy.Factor
}

// Code is what is remembered of a code that was sent.
type Code struct {
	Slot
	// Transaction is the ceremony it was sent in.
	Transaction string
	// Credential is whose address it went to; empty at an enrolment.
	Credential account.CredentialID
	// MAC binds the digits to everything that they are good for, To is a MAC
	// of the address alone.
	MAC, To   []byte
	SentAt    time.Time
	ExpiresAt time.Time
	// Sends counts the codes of this transaction, this one included.
	Sends int
	// Tries counts the answers that were compared with it.
	Tries int
	// Spent says that it was answered rightly.
	Spent bool
}

// open tells whether an answer would still be compared.
func (c Code) open(transaction string, now time.Time) bool {
	return c.Transaction == transaction && len(c.MAC) > 0 && !c.Spent && c.Tries < maxTries && now.Before(c.ExpiresAt)
}

// resendAfter is how long until another may be sent in a transaction to the
// same address; no is true where none may be sent to any.
func (c Code) resendAfter(transaction string, to []byte, now time.Time) (wait time.Duration, no bool) {
	switch {
	case c.Transaction != transaction || c.Sends == 0:
		return 0, false
	case c.Sends >= maxSends:
		return 0, true
	case !bytes.Equal(c.To, to):
		return 0, false
	}
	return max(0, c.SentAt.Add(waits[min(c.Sends, len(waits))-1]).Sub(now)), false
}

// Codes keeps codes. All its verbs are atomic, over all nodes.
type Codes interface {
	// Code reads what a slot holds, over or not; nothing is a Code with only
	// the slot in it.
	Code(ctx context.Context, slot Slot) (Code, error)
	// ReplaceCode puts what change makes of the present code into its place. An
	// error of change keeps everything as it is and is returned. No two
	// changes of one slot interleave; a store may run change again.
	ReplaceCode(ctx context.Context, slot Slot, change func(present Code) (Code, error)) error
	// TryCode spends a try of the code in a slot and then lets right compare
	// it. A right answer spends the code in the same write, and the code is
	// returned: of any number of callers one gets it. Otherwise the error is
	// factors.ErrWrongAnswer, ErrReplayed (it was right and is spent) or
	// ErrExpired (there is none, its time is over, or it had its tries).
	TryCode(ctx context.Context, slot Slot, now time.Time, tries int, right func(Code) bool) (Code, error)
	// DropCode deletes a code if it is still the one with this MAC.
	DropCode(ctx context.Context, slot Slot, mac []byte) error
}

func (f *Factor) slot(scope factors.Scope) Slot {
	s := Slot{Account: scope.Account.ID, Session: scope.Session, Purpose: scope.Purpose, Factor: f.Kind()}
	if s.Session == "" {
		s.Session = "transaction " + scope.Transaction
	}
	return s
}

// newCode is uniform: crypto/rand.Int has no bias.
func newCode() string {
	n, err := rand.Int(rand.Reader, big.NewInt(1_000_000))
	if err != nil {
		panic(err) // crypto/rand does not fail
	}
	return fmt.Sprintf("%0*d", digits, n)
}

const macPurpose = "one-time code"

// toMAC recognises an address without keeping it.
func (f *Factor) toMAC(to string) []byte {
	return f.keys.MAC(macPurpose+" address", []byte(f.channel.fold(to)))
}

// bound is what a code's MAC is made of.
func bound(slot Slot, scope factors.Scope, to, code string) [][]byte {
	var parts [][]byte
	for _, part := range []string{string(slot.Account), slot.Session, slot.Purpose, string(slot.Factor), scope.Transaction, scope.Site, to, code} {
		parts = append(parts, []byte(part))
	}
	return parts
}

// pending is what an enrolment remembers: the address that was typed.
type pending struct {
	To      string `json:"to"`
	Country string `json:"country,omitempty"`
}

func (a address) state() factors.State {
	state, _ := json.Marshal(pending{a.to, a.country}) // two strings always encode
	return state
}

// pendingOf reads an enrolment's state; false where no address was typed yet.
func pendingOf(state factors.State) (address, bool, error) {
	if len(state) == 0 {
		return address{}, false, nil
	}
	var p pending
	if err := json.Unmarshal(state, &p); err != nil || p.To == "" {
		return address{}, false, fmt.Errorf("oob: unreadable enrolment state")
	}
	return address{to: p.To, country: p.Country}, true, nil
}
