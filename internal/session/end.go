package session

import (
	"context"
	"fmt"
	"net/http"

	"github.com/stepgate/stepgate/internal/account"
)

// End ends a session here at once and on every node within a second, and
// takes the cookie away (ASVS 5.0 7.4.1: the server's end of it ends).
func (m *Manager) End(ctx context.Context, w http.ResponseWriter, p Place, e *Entry) error {
	if err := m.EndID(ctx, e.Session.ID); err != nil {
		return err
	}
	p.ClearCookie(w)
	return nil
}

// EndID is End for a session whose browser is not the one that asks: its
// cookie stays, and opens nothing. Sessions of other sites that came of the
// same sign-in end with it.
func (m *Manager) EndID(ctx context.Context, id ID) error {
	ended, err := m.Store.EndTied(ctx, id)
	return m.forgetAll(ended, err)
}

// EndIssuerSession is EndID for the sessions that one of an issuer's began.
func (m *Manager) EndIssuerSession(ctx context.Context, source, issuerSession string) error {
	ended, err := m.Store.EndIssuerSessions(ctx, source, issuerSession)
	return m.forgetAll(ended, err)
}

func (m *Manager) forgetAll(ended []ID, err error) error {
	if err != nil {
		return fmt.Errorf("end the session: %w", err)
	}
	for _, id := range ended {
		m.memory.apply(Change{Kind: SessionChanged, Key: string(id)})
	}
	return nil
}

// EndAccount ends all sessions of an account.
func (m *Manager) EndAccount(ctx context.Context, owner account.ID) error {
	if err := m.Store.EndAccountSessions(ctx, owner, ""); err != nil {
		return fmt.Errorf("end the account's sessions: %w", err)
	}
	m.memory.apply(Change{Kind: AccountChanged, Key: string(owner)})
	return nil
}
