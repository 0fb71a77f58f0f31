package upstreambasic

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/signin"
)

// Desk is where a name and a password are compared that were typed into the
// gateway's own page: at the app, by the way of the request that brought them.
type Desk struct {
	// Compare asks the app. Nil says that it accepts them, signin.ErrRefused
	// that it does not; any other error is technical.
	Compare func(ctx context.Context, c Credentials) error
	// Accepted is what the app has accepted on this request.
	Accepted *Credentials
}

type deskKey struct{}

// AtDesk is a context in which passwords are compared at a desk.
func AtDesk(ctx context.Context, d *Desk) context.Context {
	return context.WithValue(ctx, deskKey{}, d)
}

// Checker is the source on a site whose people type into the gateway's page.
// Unlike the Source it observes nothing.
type Checker struct{ source *Source }

// Checker makes a Checker of the source.
func (s *Source) Checker() Checker { return Checker{s} }

// Name implements signin.Source.
func (c Checker) Name() string { return c.source.Name() }

// OnlyByPassword implements signin.PasswordBound: the app compares the password
// at every request.
func (Checker) OnlyByPassword() {}

var errNoDesk = errors.New("upstreambasic: no application to ask on this request")

// maxTyped bounds what is sent to the app, in bytes: it has to fit into a
// cookie.
const maxTyped = 1024

// CheckPassword implements signin.PasswordChecker. A name with a colon in it
// cannot be told from its password (RFC 7617 §2).
func (c Checker) CheckPassword(ctx context.Context, username string, password account.Secret) (signin.Identity, error) {
	desk, ok := ctx.Value(deskKey{}).(*Desk)
	if !ok {
		return signin.Identity{}, errNoDesk
	}
	username = strings.TrimSpace(username)
	typed := username + ":" + string(password.Reveal())
	made, ok := Read(http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(typed))}})
	if !ok || made.Username != username || len(typed) > maxTyped {
		return signin.Identity{}, signin.ErrRefused
	}
	if err := desk.Compare(ctx, made); err != nil {
		return signin.Identity{}, err
	}
	desk.Accepted = &made
	return c.source.Who(username), nil
}
