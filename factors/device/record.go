package device

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/softtoken"
)

// record is what is kept of a token: the Secret of its credential, as JSON.
type record struct {
	softtoken.Token
	// Site is the origin that it was made at, the only one where it counts.
	Site   string    `json:"site"`
	EndsAt time.Time `json:"ends_at"`
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
	return r.Live() && r.Site == site && now.Before(r.EndsAt)
}
