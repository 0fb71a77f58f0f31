package sqldb

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/session"
)

func noteCell(id session.ID) cell { return cell{"session_tie.sealed_note", []string{string(id)}} }

// insertTie keeps what a session ends with, in place of what it ended with
// before.
func (t *tx) insertTie(ctx context.Context, s *session.Session) error {
	if s.Tie.IssuerSession == "" && s.Tie.Root == "" && len(s.Tie.Note) == 0 {
		return nil
	}
	note, err := noteCell(s.ID).seal(t.ring, s.Tie.Note)
	if err != nil {
		return err
	}
	if err := t.q.later(ctx, `DELETE FROM session_tie WHERE session = $1`, string(s.ID)); err != nil {
		return err
	}
	return t.q.later(ctx, `INSERT INTO session_tie (session, source, issuer_session, root, sealed_note) VALUES ($1, $2, $3, $4, $5)`,
		string(s.ID), s.Source, storable(s.Tie.IssuerSession), string(s.Tie.Root), note)
}

// SessionNote implements session.Store.
func (r reader) SessionNote(ctx context.Context, id session.ID) ([]byte, error) {
	note, err := one(ctx, r.q, session.ErrNotFound, func(rows row) ([]byte, error) {
		var sealed []byte
		if err := rows.Scan(&sealed); err != nil {
			return nil, err
		}
		return noteCell(id).open(r.ring, sealed)
	}, `SELECT sealed_note FROM session_tie WHERE session = $1`, string(id))
	if err != nil {
		return nil, fmt.Errorf("read note of session: %w", err)
	}
	return note, nil
}

// SessionOwners implements session.Store.
func (r reader) SessionOwners(ctx context.Context, source string, now time.Time) ([]account.ID, error) {
	owners, err := list(ctx, r.q, value[account.ID],
		`SELECT DISTINCT s.account FROM session s JOIN account a ON a.id = s.account
		WHERE a.source = $1 AND s.superseded_at = 0 AND s.ends_at > $2 ORDER BY s.account`, source, instant(now))
	if err != nil {
		return nil, fmt.Errorf("list people of a source: %w", err)
	}
	return owners, nil
}

// EndTied implements session.Store.
func (db *DB) EndTied(ctx context.Context, id session.ID) ([]session.ID, error) {
	var ended []session.ID
	err := db.update(ctx, func(t *tx) (err error) {
		ended, err = t.endTied(ctx, id)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("end session and what came of it: %w", err)
	}
	return ended, nil
}

// EndIssuerSessions implements session.Store.
func (db *DB) EndIssuerSessions(ctx context.Context, source, issuerSession string) ([]session.ID, error) {
	if issuerSession == "" {
		return nil, nil
	}
	var ended []session.ID
	err := db.update(ctx, func(t *tx) error { // for it holds several accounts
		ended = nil
		named, err := list(ctx, t.q, value[session.ID],
			`SELECT session FROM session_tie WHERE source = $1 AND issuer_session = $2 ORDER BY session`, source, storable(issuerSession))
		for _, id := range named {
			var more []session.ID
			if more, err = t.endTied(ctx, id); err != nil {
				return err
			}
			ended = append(ended, more...)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("end sessions of an issuer's: %w", err)
	}
	return ended, nil
}

// endTied ends all sessions that came of one sign-in. They are one account's.
func (t *tx) endTied(ctx context.Context, id session.ID) (ended []session.ID, err error) {
	roots, err := list(ctx, t.q, value[session.ID], `SELECT root FROM session_tie WHERE session = $1 AND root <> ''`, string(id))
	if err != nil {
		return nil, err
	}
	root := id
	if len(roots) > 0 {
		root = roots[0]
	}
	family, err := list(ctx, t.q, value[session.ID], `SELECT session FROM session_tie WHERE root = $1 ORDER BY session`, string(root))
	if err != nil {
		return nil, err
	}
	family = append(family, root)
	if !slices.Contains(family, id) {
		family = append(family, id)
	}
	for _, one := range family {
		if err := t.endSession(ctx, one); err != nil && !errors.Is(err, session.ErrNotFound) {
			return nil, err
		}
		if _, err := t.q.exec(ctx, `DELETE FROM session_tie WHERE session = $1`, string(one)); err != nil {
			return nil, err
		}
	}
	return family, nil
}
