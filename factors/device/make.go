package device

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/softtoken"
	"github.com/stepgate/stepgate/policy"
)

// making is the state of a token that is about to be made.
type making struct {
	softtoken.Exchange
	Key   string `json:"key"`
	Share []byte `json:"share"`
	// Public is the key that the browser has offered, empty before.
	Public []byte `json:"public,omitempty"`
}

// Invite implements factors.Resident.
func (f *Factor) Invite(scope factors.Scope, state factors.State) ([]byte, factors.State, error) {
	var m making
	if json.Unmarshal(state, &m) != nil || m.Key == "" {
		e, err := softtoken.NewExchange()
		if err != nil {
			return nil, nil, err
		}
		m = making{Exchange: e, Key: softtoken.Text(softtoken.Random(16)), Share: softtoken.Random(32)}
		if state, err = json.Marshal(m); err != nil {
			return nil, nil, err
		}
	}
	text, err := optionsFor(m.Exchange, "make", m.Key, m.Share, scope)
	return text, state, err
}

// Offer implements factors.Resident.
func (f *Factor) Offer(scope factors.Scope, state factors.State, answer factors.Answer) (factors.State, error) {
	var m making
	if json.Unmarshal(state, &m) != nil || m.Key == "" {
		return nil, factors.ErrExpired
	}
	letter, err := m.Open(answer.Fields["credential"])
	if err != nil || len(letter) != softtoken.PointLen+softtoken.SignatureLen {
		return nil, factors.ErrWrongAnswer
	}
	key, err := softtoken.PublicKey(letter[:softtoken.PointLen])
	said := statementOf("make", scope, m.Challenge)
	said.Key = m.Key
	if err != nil || !said.SignedBy(key, letter[softtoken.PointLen:]) {
		return nil, factors.ErrWrongAnswer
	}
	m.Public = letter[:softtoken.PointLen]
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
	secret, err := record{
		Token: softtoken.Token{Key: m.Key, Public: m.Public, Share: m.Share}, Site: scope.Site, EndsAt: ends.UTC(),
	}.secret()
	if err != nil {
		return account.Credential{}, fmt.Errorf("keep a soft token: %w", err)
	}
	return account.Credential{Factor: string(policy.DevicePIN), Label: name, Secret: secret}, nil
}

// Ends implements factors.Resident.
func (f *Factor) Ends(c account.Credential) time.Time {
	r, err := recordOf(c)
	if err != nil || !r.Live() {
		return time.Time{}
	}
	return r.EndsAt
}
