package session

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/stepgate/stepgate/internal/account"
)

// Remembered is how long the store still knows whose a session was after it
// has ended (contract, section 4). It opens nothing: the person signs in.
const Remembered = 8 * time.Hour

// Remains is what the store knows of an identifier's session, whether it
// lives or has ended.
type Remains struct {
	Account account.ID
	Site    string
	// SeenAt and EndsAt are those of the session. It ended at EndsAt, or an
	// idle limit after SeenAt where that was earlier.
	SeenAt time.Time
	EndsAt time.Time
}

// Last tells whose session a request's cookie belongs to, also where that
// session ended less than Remembered ago: "" for nobody, for a session of
// another site, and where an administrator or a reset ended it. It keeps no
// session alive. An error is ErrStore.
func (m *Manager) Last(ctx context.Context, h http.Header, p Place) (account.ID, error) {
	value := cookieValue(h, p.Cookie)
	if value == "" {
		return "", nil
	}
	id, ok := m.unseal(p.Cookie, value)
	if !ok {
		return "", nil
	}
	left, err := m.Store.Remains(ctx, id.Hash())
	switch {
	case errors.Is(err, ErrNotFound):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("%w: %w", ErrStore, err)
	case left.Site != p.Origin || m.Now().Sub(left.end(m.limits.Load().Idle)) >= Remembered:
		return "", nil
	}
	return left.Account, nil
}

func (r Remains) end(idle time.Duration) time.Time {
	if end := r.SeenAt.Add(idle); end.Before(r.EndsAt) {
		return end
	}
	return r.EndsAt
}
