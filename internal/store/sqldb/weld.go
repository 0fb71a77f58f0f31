package sqldb

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/weld"
)

var errNoBond = errors.New("sqldb: no such bond")

// KeepBonds implements weld.Store.
func (db *DB) KeepBonds(ctx context.Context, bonds []weld.Bond) error {
	bonds = slices.Clone(bonds)
	// One order for all, so that two of them never wait for each other.
	slices.SortFunc(bonds, func(a, b weld.Bond) int { return bytes.Compare(a.Hash[:], b.Hash[:]) })
	return db.write(ctx, func(t *tx) error {
		for _, b := range bonds {
			if err := t.keepBond(ctx, b); err != nil {
				return fmt.Errorf("keep bond: %w", err)
			}
		}
		return nil
	})
}

func (t *tx) keepBond(ctx context.Context, b weld.Bond) error {
	_, err := t.q.exec(ctx,
		`INSERT INTO weld_bond (hash, session, offered, at, expires_at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (hash, session) DO UPDATE SET offered = weld_bond.offered AND excluded.offered,
			expires_at = CASE WHEN excluded.expires_at > weld_bond.expires_at THEN excluded.expires_at ELSE weld_bond.expires_at END`,
		b.Hash[:], string(b.Session), b.Offered, instant(b.At), instant(b.ExpiresAt))
	if err != nil || !b.Offered {
		return err
	}
	_, err = t.q.exec(ctx,
		`DELETE FROM weld_bond WHERE session = $1 AND offered AND hash NOT IN (
			SELECT hash FROM weld_bond WHERE session = $1 AND offered ORDER BY at DESC, hash LIMIT $2)`,
		string(b.Session), weld.MaxOffered)
	return err
}

// BondsOf implements weld.Store.
func (r reader) BondsOf(ctx context.Context, id session.ID, now time.Time) ([]weld.Bond, error) {
	all, err := list(ctx, r.q, scanBond,
		`SELECT hash, session, offered, at, expires_at FROM weld_bond
		WHERE session = $1 AND expires_at > $2 ORDER BY at, hash`, string(id), instant(now))
	if err != nil {
		return nil, fmt.Errorf("list bonds: %w", err)
	}
	return all, nil
}

func scanBond(rows row) (b weld.Bond, err error) {
	err = rows.Scan((*hashColumn)(&b.Hash), &b.Session, &b.Offered, (*instant)(&b.At), (*instant)(&b.ExpiresAt))
	return b, err
}

// BondElsewhere implements weld.Store.
func (r reader) BondElsewhere(ctx context.Context, hashes []weld.Hash, but session.ID, now time.Time) (bool, error) {
	for _, h := range hashes {
		_, err := one(ctx, r.q, errNoBond, value[string],
			`SELECT session FROM weld_bond WHERE hash = $1 AND session <> $2 AND expires_at > $3 LIMIT 1`, h[:], string(but), instant(now))
		switch {
		case err == nil:
			return true, nil
		case !errors.Is(err, errNoBond):
			return false, fmt.Errorf("look for a bond: %w", err)
		}
	}
	return false, nil
}

// SessionsBound implements weld.Store.
func (r reader) SessionsBound(ctx context.Context, hashes []weld.Hash, but session.ID, now time.Time) ([]session.ID, error) {
	var all []session.ID
	for _, h := range hashes {
		found, err := list(ctx, r.q, scanSessionID,
			`SELECT session FROM weld_bond WHERE hash = $1 AND session <> $2 AND NOT offered AND expires_at > $3 ORDER BY session`,
			h[:], string(but), instant(now))
		if err != nil {
			return nil, fmt.Errorf("list sessions of a bond: %w", err)
		}
		all = append(all, found...)
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

func scanSessionID(rows row) (id session.ID, err error) {
	err = rows.Scan(&id)
	return id, err
}
