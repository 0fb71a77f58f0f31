package device

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/json"
	"fmt"
	"time"

	"github.com/stepgate/stepgate/internal/account"
)

// MaxTries is how many wrong answers in a row destroy a token.
const MaxTries = 10

// record is what is kept of a token: the Secret of its credential, as JSON.
type record struct {
	// Key is the name under which the browser keeps its half.
	Key string `json:"key"`
	// Public is the public key, uncompressed. Beside the browser's half it
	// would tell a right PIN from a wrong one. Empty once the token has been
	// destroyed.
	Public []byte `json:"public,omitempty"`
	// Share is what the browser needs beside the PIN.
	Share []byte `json:"share,omitempty"`
	// Site is the origin that it was made at, the only one where it counts.
	Site   string    `json:"site"`
	EndsAt time.Time `json:"ends_at"`
	// Tries are the wrong answers since the last right one.
	Tries int `json:"tries,omitempty"`
}

func recordOf(c account.Credential) (record, error) {
	var r record
	if err := json.Unmarshal(c.Secret.Reveal(), &r); err != nil || r.Key == "" {
		return record{}, fmt.Errorf("device: credential %s: unreadable secret", c.ID)
	}
	return r, nil
}

func (r record) secret() (account.Secret, error) {
	text, err := json.Marshal(r)
	return account.Secret(text), err
}

// live tells whether the token may be used at a site at a moment.
func (r record) live(site string, now time.Time) bool {
	return len(r.Public) > 0 && r.Site == site && now.Before(r.EndsAt)
}

// publicKey reads an uncompressed point. One that is not on the curve, or at
// infinity, is refused (SEC 1 §2.3.4).
func publicKey(point []byte) (*ecdsa.PublicKey, error) {
	return ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
}
