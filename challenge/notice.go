package challenge

import (
	"context"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/session"
)

// NoticeEnrolled tells a person that a credential was added.
const NoticeEnrolled = "factor-added"

// Notice is something about their own credentials that a person is told of.
type Notice struct {
	Account account.Account
	// Key says what happened: NoticeEnrolled, or a factor's own word.
	Key        string
	Credential account.Credential
	// Site is the origin where it happened.
	Site string
}

// tell hands a notice to whoever sends it. It never holds a request up.
func (s *Site) tell(ctx context.Context, v *session.Entry, key string, c account.Credential) {
	if key != "" && s.Tell != nil {
		s.Tell(ctx, Notice{Account: v.Owner.Account, Key: key, Credential: c, Site: s.Place.Origin})
	}
}
