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
	// Held are the credentials of the account, given where the person is to
	// be told on every channel: a credential that has to wait before it counts
	// gives them the time to object.
	Held []account.Credential
	// Site is the origin where it happened.
	Site string
}

// tell hands a notice to whoever sends it. It never holds a request up.
func (s *Site) tell(ctx context.Context, v *session.Entry, key string, c account.Credential) {
	if key == "" || s.Tell == nil {
		return
	}
	n := Notice{Account: v.Owner.Account, Key: key, Credential: c, Site: s.Place.Origin}
	if c.CountsFrom.After(s.Now()) {
		// Without them the mail to the account's address goes out all the same.
		n.Held, _ = s.Store.Credentials(context.WithoutCancel(ctx), c.Account)
	}
	s.Tell(ctx, n)
}
