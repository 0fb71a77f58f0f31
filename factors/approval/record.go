package approval

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/softtoken"
)

// record is what is kept of a phone: the Secret of its credential, as JSON.
type record struct {
	softtoken.Token
	// Push is where the phone can be told that something waits; nil for
	// nowhere.
	Push *Subscription `json:"push,omitempty"`
	// Lost says that there was such a place and that it is no more.
	Lost bool `json:"lost,omitempty"`
}

// Subscription is where a push service takes messages for a phone (RFC 8030
// §4), with the keys that they are encrypted to (RFC 8291 §3.1).
type Subscription struct {
	Endpoint string `json:"endpoint"`
	// P256DH and Auth are base64url, as browsers write them.
	P256DH string `json:"p256dh"`
	Auth   string `json:"auth"`
}

func recordOf(c account.Credential) (record, error) {
	var r record
	if err := json.Unmarshal(c.Secret.Reveal(), &r); err != nil || r.Key == "" {
		return record{}, fmt.Errorf("approval: credential %s: unreadable secret", c.ID)
	}
	return r, nil
}

func (r record) keepIn(c *account.Credential) error {
	text, err := json.Marshal(r)
	c.Secret = account.Secret(text)
	return err
}

// PushOf is where a phone can be told that something waits; nil for nowhere.
func PushOf(c account.Credential) *Subscription {
	r, err := recordOf(c)
	if err != nil {
		return nil
	}
	return r.Push
}

// SetPush changes where a phone can be told. lost says that the place is no
// more; a new one makes that good.
func SetPush(c *account.Credential, to *Subscription, lost bool) error {
	r, err := recordOf(*c)
	if err != nil {
		return err
	}
	r.Push, r.Lost = to, lost
	return r.keepIn(c)
}

// Handle is what a phone's credential is found by: a hash of the phone's bearer
// secret, so that the store has nothing that lets anybody in.
func Handle(bearer string) string {
	sum := sha256.Sum256([]byte("stepgate phone " + bearer))
	return "phone " + hex.EncodeToString(sum[:])
}
