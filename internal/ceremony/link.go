package ceremony

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/session"
)

// The purposes of links that are sent to a person.
const (
	Register      = "register"
	ResetPassword = "reset-password"
)

// How long a link holds.
const (
	RegisterTTL = 72 * time.Hour
	ResetTTL    = time.Hour
)

// NewLink makes the token of a link and the transaction that it opens, in
// which the person proves who they are before anything is changed. The store
// holds only a hash of the token. An account has one link of a purpose: a
// newer one replaces it.
func NewLink(purpose string, owner account.ID, site string, now time.Time) (token string, t Transaction) {
	life := ResetTTL
	if purpose == Register {
		life = RegisterTTL
	}
	token = rand.Text()
	return token, Transaction{
		ID: LinkID(purpose, token), Session: session.ID("link " + string(owner)), Key: purpose, Actor: owner, Subject: owner,
		Site: site, Purpose: purpose, CreatedAt: now, ExpiresAt: now.Add(life), Version: 1,
	}
}

// LinkID is the ID of the transaction that a link's token opens.
func LinkID(purpose, token string) string {
	sum := sha256.Sum256([]byte(purpose + "\x00" + token))
	return hex.EncodeToString(sum[:])
}
