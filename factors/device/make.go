package device

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/policy"
)

// making is the state of a token that is about to be made.
type making struct {
	exchange
	Key   string `json:"key"`
	Share []byte `json:"share"`
	// Public is the key that the browser has offered, empty before.
	Public []byte `json:"public,omitempty"`
}

// Invite implements factors.Resident.
func (f *Factor) Invite(scope factors.Scope, state factors.State) ([]byte, factors.State, error) {
	var m making
	if json.Unmarshal(state, &m) != nil || m.Key == "" {
		e, err := newExchange()
		if err != nil {
			return nil, nil, err
		}
		m = making{exchange: e, Key: base64.RawURLEncoding.EncodeToString(random(16)), Share: random(32)}
		if state, err = json.Marshal(m); err != nil {
			return nil, nil, err
		}
	}
	text, err := m.options("make", m.Key, m.Share, scope)
	return text, state, err
}

// Offer implements factors.Resident.
func (f *Factor) Offer(scope factors.Scope, state factors.State, answer factors.Answer) (factors.State, error) {
	var m making
	if json.Unmarshal(state, &m) != nil || m.Key == "" {
		return nil, factors.ErrExpired
	}
	letter, err := openLetter(m.Private, answer.Fields["credential"])
	if err != nil || len(letter) != pointLen+signatureLen {
		return nil, factors.ErrWrongAnswer
	}
	key, err := publicKey(letter[:pointLen])
	if err != nil || !signs(key, letter[pointLen:], "make", m.Key, scope, m.Challenge) {
		return nil, factors.ErrWrongAnswer
	}
	m.Public = letter[:pointLen]
	return json.Marshal(m)
}

// Offered implements factors.Resident.
func (f *Factor) Offered(state factors.State) (key string, ready bool) {
	var m making
	if json.Unmarshal(state, &m) != nil {
		return "", false
	}
	return m.Key, len(m.Public) > 0
}

// Settle implements factors.Resident.
func (f *Factor) Settle(scope factors.Scope, state factors.State, name string, ends time.Time) (account.Credential, error) {
	var m making
	if err := json.Unmarshal(state, &m); err != nil || len(m.Public) == 0 {
		return account.Credential{}, factors.ErrExpired
	}
	secret, err := record{Key: m.Key, Public: m.Public, Share: m.Share, Site: scope.Site, EndsAt: ends.UTC()}.secret()
	if err != nil {
		return account.Credential{}, fmt.Errorf("keep a soft token: %w", err)
	}
	return account.Credential{Factor: string(policy.DevicePIN), Label: name, Secret: secret}, nil
}

// Ends implements factors.Resident.
func (f *Factor) Ends(c account.Credential) time.Time {
	r, err := recordOf(c)
	if err != nil || len(r.Public) == 0 {
		return time.Time{}
	}
	return r.EndsAt
}
