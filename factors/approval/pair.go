package approval

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/softtoken"
	"github.com/stepgate/stepgate/policy"
)

// making is the state of a pairing.
type making struct {
	softtoken.Exchange
	Key   string `json:"key"`
	Share []byte `json:"share"`
	// Secret is what the picture carries beside the ceremony's name.
	Secret []byte `json:"secret"`
	// Public, Handle and Name are what a phone has offered; empty before.
	Public []byte `json:"public,omitempty"`
	Handle string `json:"handle,omitempty"`
	Name   string `json:"name,omitempty"`
}

func newMaking() (making, error) {
	e, err := softtoken.NewExchange()
	return making{Exchange: e, Key: softtoken.Text(softtoken.Random(16)), Share: softtoken.Random(32), Secret: softtoken.Random(16)}, err
}

func (m making) progress() factors.Progress {
	if len(m.Public) > 0 {
		return factors.ProgressReady
	}
	return factors.ProgressWaiting
}

// check is what page and phone show alike once a phone has offered its key: a
// phone that got in between shows another.
func (m making) check() string {
	sum := sha256.Sum256(append(append([]byte("stepgate pairing"), m.Secret...), m.Public...))
	return fmt.Sprintf("%04d", binary.BigEndian.Uint32(sum[:4])%10000)
}

// PairingField is the name of the ticket in the fragment of the picture's link.
const PairingField = "pair"

// BeginEnrolment implements factors.Enroller.
func (f *Factor) BeginEnrolment(_ context.Context, scope factors.Scope, _ []account.Credential, state factors.State, answer factors.Answer) (factors.Prompt, factors.State, error) {
	prompt := factors.Prompt{Shape: factors.ShapeApproval, Factor: policy.Approval}
	var m making
	if json.Unmarshal(state, &m) != nil || m.Key == "" || answer.Fields["action"] == "new" {
		var err error
		if m, err = newMaking(); err != nil {
			return prompt, nil, fmt.Errorf("approval: begin a pairing: %w", err)
		}
		if state, err = json.Marshal(m); err != nil {
			return prompt, nil, err
		}
	}
	prompt.Progress = m.progress()
	if prompt.Progress == factors.ProgressReady {
		prompt.Label, prompt.Number = m.Name, m.check()
		return prompt, state, nil
	}
	// Behind the mark, so that no server and no log hears of it.
	prompt.SecretURI = f.Origin + "/#" + PairingField + "=" + scope.Transaction + "." + softtoken.Text(m.Secret)
	return prompt, state, nil
}

// ConfirmEnrolment implements factors.Enroller: the person has said on the page
// that the phone is theirs. factors.ErrPending says that none has offered a key.
func (f *Factor) ConfirmEnrolment(_ context.Context, _ factors.Scope, _ []account.Credential, state factors.State, answer factors.Answer) (account.Credential, error) {
	var m making
	if json.Unmarshal(state, &m) != nil || len(m.Public) == 0 || answer.Fields["check"] != m.check() {
		return account.Credential{}, factors.ErrPending
	}
	c := account.Credential{Factor: string(policy.Approval), Label: m.Name, Handle: m.Handle}
	err := record{Token: softtoken.Token{Key: m.Key, Public: m.Public, Share: m.Share}}.keepIn(&c)
	return c, err
}

// ErrTicket says that a pairing is unknown, over, or another phone's.
var ErrTicket = errors.New("approval: no such pairing")

// Ticket is what the picture carries: which ceremony, and a secret of it.
type Ticket struct {
	Transaction string
	secret      []byte
}

// ReadTicket reads the ticket of a picture's link.
func ReadTicket(text string) (Ticket, error) {
	transaction, rest, ok := strings.Cut(text, ".")
	secret, err := base64.RawURLEncoding.Strict().DecodeString(rest)
	if !ok || err != nil || transaction == "" || len(secret) != 16 {
		return Ticket{}, ErrTicket
	}
	return Ticket{transaction, secret}, nil
}

// Options is what the app's script needs of a token, beside what it signs.
type Options struct {
	Key         string `json:"key"`
	Share       string `json:"share"`
	Server      string `json:"server"`
	Challenge   string `json:"challenge"`
	Account     string `json:"account"`
	Purpose     string `json:"purpose"`
	Transaction string `json:"transaction"`
}

// The purposes that statements name.
const (
	pairingPurpose  = "pair"
	approvalPurpose = "approval"
)

// during adds what is exchanged.
func (o Options) during(e softtoken.Exchange, share []byte) (Options, error) {
	server, err := e.Server()
	o.Share, o.Server, o.Challenge = softtoken.Text(share), server, softtoken.Text(e.Challenge)
	return o, err
}

// Invite gives what the app needs to make its key.
func (t Ticket) Invite(owner account.ID, state factors.State) (Options, error) {
	m, err := t.open(state)
	if err != nil {
		return Options{}, err
	}
	return Options{Key: m.Key, Account: string(owner), Purpose: pairingPurpose, Transaction: t.Transaction}.during(m.Exchange, m.Share)
}

func (t Ticket) open(state factors.State) (making, error) {
	var m making
	if json.Unmarshal(state, &m) != nil || m.Key == "" || subtle.ConstantTimeCompare(m.Secret, t.secret) != 1 || len(m.Public) > 0 {
		return making{}, ErrTicket
	}
	return m, nil
}

// Offered is what a phone gets for its key.
type Offered struct {
	// Bearer is what the phone says with each request; nothing else keeps it.
	Bearer string
	// Check is what the page shows as well.
	Check string
	// State is to be kept in the ceremony in place of the one before.
	State factors.State
}

// Offer checks what the app's script has made, at an origin. Nothing is
// enrolled by that. factors.ErrWrongAnswer says that the proof is none.
func (t Ticket) Offer(origin string, owner account.ID, state factors.State, letter, name string) (Offered, error) {
	m, err := t.open(state)
	if err != nil {
		return Offered{}, err
	}
	plain, err := m.Open(letter)
	if err != nil || len(plain) != softtoken.PointLen+softtoken.SignatureLen {
		return Offered{}, factors.ErrWrongAnswer
	}
	said := softtoken.Statement{
		Kind: "make", Origin: origin, Account: string(owner), Purpose: pairingPurpose, Transaction: t.Transaction, Key: m.Key, Challenge: m.Challenge,
	}
	key, err := softtoken.PublicKey(plain[:softtoken.PointLen])
	if err != nil || !said.SignedBy(key, plain[softtoken.PointLen:]) {
		return Offered{}, factors.ErrWrongAnswer
	}
	bearer := softtoken.Text(softtoken.Random(32))
	m.Public, m.Handle, m.Name = plain[:softtoken.PointLen], Handle(bearer), factors.CleanLabel(name)
	if m.Name == "" {
		m.Name = "Phone"
	}
	state, err = json.Marshal(m)
	return Offered{Bearer: bearer, Check: m.check(), State: state}, err
}
