package sqldb

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/policy"
)

// hashColumn scans a session's hash.
type hashColumn session.Hash

// Scan implements sql.Scanner.
func (h *hashColumn) Scan(src any) error {
	raw, ok := src.([]byte)
	if !ok || len(raw) != len(h) {
		return fmt.Errorf("hash column holds %T of another length", src)
	}
	copy(h[:], raw)
	return nil
}

// sessionColumns are the places of a session's columns, in the order in which
// every statement here lists them.
func sessionColumns(s *session.Session) []any {
	return []any{(*hashColumn)(&s.Hash), &s.ID, &s.Account, &s.Site, &s.Source, asJSON(&s.Proofs), &s.Device, &s.DeviceID, &s.Risk,
		(*instant)(&s.CreatedAt), (*instant)(&s.SeenAt), (*instant)(&s.EndsAt), (*instant)(&s.SupersededAt), &s.Address, &s.UserAgent}
}

func scanSession(rows row) (s session.Session, err error) {
	err = rows.Scan(sessionColumns(&s)...)
	return s, err
}

type ownedSession struct {
	session session.Session
	owner   session.Owner
}

const selectOwned = `SELECT s.hash, s.id, s.account, s.site, s.source, s.proofs, s.device, s.device_id, s.risk,
		s.created_at, s.seen_at, s.ends_at, s.superseded_at, s.address, s.user_agent,
		a.id, a.source, a.subject, a.username, a.full_name, a.email, a.mobile, a.member_of, a.organisation,
		a.role, a.two_factor, a.suspended_at, a.created_at, a.version, o.requires, o.enrolment
	FROM session s JOIN account a ON a.id = s.account JOIN organisation o ON o.name = a.organisation
	`

func scanOwnedSession(rows row) (*ownedSession, error) {
	o := &ownedSession{}
	a := &o.owner.Account
	err := rows.Scan(append(sessionColumns(&o.session),
		&a.ID, &a.Source, &a.Subject, &a.Username, &a.Name, &a.Email, &a.Mobile, asJSON(&a.Groups), &a.Organisation,
		&a.Role, &a.TwoFactor, (*instant)(&a.SuspendedAt), (*instant)(&a.CreatedAt), &a.Version, &o.owner.Require, &o.owner.Enrolment)...)
	return o, err
}

const selectByHash = selectOwned + `WHERE s.hash = $1 AND s.ends_at > $2`

// SessionByHash implements session.Store.
func (r reader) SessionByHash(ctx context.Context, h session.Hash, now time.Time) (session.Session, session.Owner, error) {
	o, err := one(ctx, r.q, session.ErrNotFound, scanOwnedSession, selectByHash, h[:], instant(now))
	if err != nil {
		return session.Session{}, session.Owner{}, fmt.Errorf("read session: %w", err)
	}
	return o.session, o.owner, nil
}

// SessionsOf implements session.Store.
func (r reader) SessionsOf(ctx context.Context, owner account.ID, now time.Time) ([]session.Session, error) {
	all, err := list(ctx, r.q, scanSession,
		`SELECT hash, id, account, site, source, proofs, device, device_id, risk,
			created_at, seen_at, ends_at, superseded_at, address, user_agent
		FROM session WHERE account = $1 AND superseded_at = 0 AND ends_at > $2
		ORDER BY created_at DESC, id`, string(owner), instant(now))
	if err != nil {
		return nil, fmt.Errorf("list sessions: %w", err)
	}
	return all, nil
}

// InsertSession implements session.Store.
func (db *DB) InsertSession(ctx context.Context, s session.Session) error {
	return db.write(ctx, func(t *tx) error {
		if err := t.beginSession(ctx, s); err != nil {
			return fmt.Errorf("insert session: %w", err)
		}
		return nil
	})
}

func (t *tx) beginSession(ctx context.Context, s session.Session) error {
	if err := t.lock(ctx, lockAccount(s.Account)); err != nil {
		return err
	}
	phc, err := one(ctx, t.q, account.ErrNotFound, value[string],
		`SELECT password_hash FROM account WHERE id = $1 AND suspended_at = 0`, string(s.Account))
	if err != nil {
		return err
	}
	if s.Password != "" && s.Password != account.MarkPassword(phc) {
		return session.ErrChanged
	}
	return t.insertSession(ctx, &s)
}

func (t *tx) insertSession(ctx context.Context, s *session.Session) error {
	err := t.q.later(ctx,
		`INSERT INTO session (hash, id, account, site, source, proofs, device, device_id, risk,
			created_at, seen_at, ends_at, superseded_at, address, user_agent)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`,
		s.Hash[:], string(s.ID), string(s.Account), s.Site, s.Source, asJSON(&s.Proofs), s.Device, s.DeviceID, s.Risk,
		instant(s.CreatedAt), instant(s.SeenAt), instant(s.EndsAt), instant(s.SupersededAt), storable(s.Address), storable(s.UserAgent))
	if err != nil {
		return err
	}
	return t.insertTie(ctx, s)
}

// RaiseSession implements session.Store. Of what change leaves, the IDs, the
// hash and the state stay as the store knows them. On PostgreSQL change may
// run again after a conflict, on a fresh copy.
func (db *DB) RaiseSession(ctx context.Context, r session.Raising) (*session.Risen, error) {
	var risen *session.Risen
	err := db.write(ctx, func(t *tx) (err error) {
		risen, err = t.raiseSession(ctx, r)
		return err
	})
	if err != nil {
		return nil, err
	}
	return risen, nil
}

func (t *tx) raiseSession(ctx context.Context, r session.Raising) (*session.Risen, error) {
	owned, err := t.lockSession(ctx, r.Account, r.ID, r.Now)
	if err != nil {
		return nil, fmt.Errorf("raise session: %w", err)
	}
	current, risen := &owned.session, &session.Risen{Session: owned.session, Owner: owned.owner}
	raised := &risen.Session
	if err := r.Change(raised); err != nil {
		return nil, err
	}
	raised.ID, raised.Account, raised.Hash, raised.SupersededAt = current.ID, current.Account, r.Next, time.Time{}
	if err := t.replaceSession(ctx, current, raised, r.Now, r.OverlapEnds); err != nil {
		return nil, fmt.Errorf("raise session: %w", err)
	}
	if err := readBack(raised); err != nil {
		return nil, fmt.Errorf("raise session: %w", err)
	}
	return risen, nil
}

// readBack makes a session what is read of it once it is kept.
func readBack(s *session.Session) error {
	proofs, err := asJSON(&s.Proofs).Value()
	if err != nil {
		return err
	}
	s.Proofs, s.Tie, s.Password = nil, session.Tie{}, ""
	s.Address, s.UserAgent = storable(s.Address), storable(s.UserAgent)
	for _, at := range []*time.Time{&s.CreatedAt, &s.SeenAt, &s.EndsAt, &s.SupersededAt} {
		*at = fromNanoseconds(nanoseconds(*at))
	}
	return asJSON(&s.Proofs).Scan(proofs)
}

// replaceSession supersedes the current row and puts its successor beside it.
// The old row never lives longer than it would have.
func (t *tx) replaceSession(ctx context.Context, current, raised *session.Session, now, overlapEnds time.Time) error {
	if current.EndsAt.Before(overlapEnds) {
		overlapEnds = current.EndsAt
	}
	err := t.q.later(ctx, `UPDATE session SET superseded_at = $1, ends_at = $2 WHERE hash = $3`,
		instant(now), instant(overlapEnds), current.Hash[:])
	if err != nil {
		return err
	}
	t.tell(session.SessionChanged, string(raised.ID))
	return t.insertSession(ctx, raised)
}

// lockSession locks the session's owner, so that ending everything of an
// account and raising one of its sessions never cross, and reads the current
// row.
func (t *tx) lockSession(ctx context.Context, owner account.ID, id session.ID, now time.Time) (*ownedSession, error) {
	foreseen, err := t.foreseen, error(nil)
	if t.foreseen = nil; foreseen == nil || !foreseen.is(owner, id, now) {
		foreseen, err = t.askForSession(ctx, owner, id, now)
	}
	if err == nil {
		err = t.st.flush(ctx)
	}
	if err != nil {
		return nil, err
	}
	if len(foreseen.found) == 0 {
		return nil, session.ErrNotFound
	}
	return foreseen.found[0], nil
}

// foreseen is what lockSession is going to ask for, with the answer, once what
// is queued has been sent. It is good until the session is written to.
type foreseen struct {
	owner account.ID
	id    session.ID
	now   time.Time
	found []*ownedSession
}

func (f *foreseen) is(owner account.ID, id session.ID, now time.Time) bool {
	return f.owner == owner && f.id == id && f.now.Equal(now)
}

// foreseeRaising has the lock and the row for raising a session come with the
// answer to the next statement.
func (t *tx) foreseeRaising(ctx context.Context, owner account.ID, id session.ID, now time.Time) (err error) {
	t.foreseen, err = t.askForSession(ctx, owner, id, now)
	return err
}

func (t *tx) askForSession(ctx context.Context, owner account.ID, id session.ID, now time.Time) (*foreseen, error) {
	f := &foreseen{owner: owner, id: id, now: now}
	if err := t.lock(ctx, lockAccount(owner)); err != nil {
		return nil, err
	}
	err := t.q.soon(ctx, func(rows row) error {
		o, err := scanOwnedSession(rows)
		f.found = append(f.found, o)
		return err
	}, selectOwned+`WHERE s.id = $1 AND s.account = $2 AND s.superseded_at = 0 AND s.ends_at > $3`, string(id), string(owner), instant(now))
	return f, err
}

func (t *tx) sessionOwner(ctx context.Context, id session.ID) (account.ID, error) {
	return one(ctx, t.q, session.ErrNotFound, value[account.ID], `SELECT account FROM session WHERE id = $1 LIMIT 1`, string(id))
}

// TouchSessions implements session.Store. It takes its turn as an update, for
// it holds many rows.
func (db *DB) TouchSessions(ctx context.Context, seen map[session.ID]time.Time) error {
	return db.update(ctx, func(t *tx) error {
		for _, id := range slices.Sorted(maps.Keys(seen)) {
			err := t.q.later(ctx, `UPDATE session SET seen_at = $1 WHERE id = $2 AND superseded_at = 0 AND seen_at < $1`,
				instant(seen[id]), string(id))
			if err != nil {
				return fmt.Errorf("touch sessions: %w", err)
			}
		}
		return nil
	})
}

// EndSession implements session.Store. Nothing of the session stays but whose
// it was.
func (db *DB) EndSession(ctx context.Context, id session.ID) error {
	return db.write(ctx, func(t *tx) error {
		if err := t.endSession(ctx, id); err != nil && !errors.Is(err, session.ErrNotFound) {
			return fmt.Errorf("end session: %w", err)
		}
		return nil
	})
}

// EndSessionOf implements store.Tx.
func (t *tx) EndSessionOf(ctx context.Context, owner account.ID, id session.ID) error {
	whose, err := t.sessionOwner(ctx, id)
	if err == nil && whose != owner {
		err = session.ErrNotFound
	}
	if err == nil {
		err = t.endSession(ctx, id)
	}
	if err != nil {
		return fmt.Errorf("end session: %w", err)
	}
	return nil
}

// dropProofs takes what credentials have proved out of their owner's sessions,
// and ends those that one of them has begun. The account is locked.
func (t *tx) dropProofs(ctx context.Context, owner account.ID, gone []account.CredentialID) error {
	all, err := list(ctx, t.q, scanSession,
		`SELECT hash, id, account, site, source, proofs, device, device_id, risk,
			created_at, seen_at, ends_at, superseded_at, address, user_agent
		FROM session WHERE account = $1`, string(owner))
	if err != nil {
		return err
	}
	for _, s := range all {
		left := slices.DeleteFunc(slices.Clone(s.Proofs), func(p policy.Proof) bool {
			return p.Credential != "" && slices.Contains(gone, account.CredentialID(p.Credential))
		})
		switch {
		case len(left) == len(s.Proofs):
			continue
		case !slices.ContainsFunc(left, func(p policy.Proof) bool {
			return p.Factor == policy.Password || p.Factor == policy.WebAuthn && p.UserVerified
		}):
			if err := t.endSession(ctx, s.ID); err != nil && !errors.Is(err, session.ErrNotFound) {
				return err
			}
			continue
		}
		if _, err := t.q.exec(ctx, `UPDATE session SET proofs = $1 WHERE hash = $2`, asJSON(&left), s.Hash[:]); err != nil {
			return err
		}
		t.tell(session.SessionChanged, string(s.ID))
	}
	return nil
}

func (t *tx) endSession(ctx context.Context, id session.ID) error {
	owner, err := t.sessionOwner(ctx, id)
	if err != nil {
		return err
	}
	if err := t.lock(ctx, lockAccount(owner)); err != nil {
		return err
	}
	if err := t.leaveRemains(ctx, id); err != nil {
		return err
	}
	t.tell(session.SessionChanged, string(id))
	_, err = t.q.exec(ctx, `DELETE FROM session WHERE id = $1`, string(id))
	return err
}

// EndAccountSessions implements session.Store.
func (db *DB) EndAccountSessions(ctx context.Context, owner account.ID, but session.ID) error {
	return db.write(ctx, func(t *tx) error { return t.EndAccountSessions(ctx, owner, but) })
}

// EndAccountSessions implements store.Tx.
func (t *tx) EndAccountSessions(ctx context.Context, owner account.ID, but session.ID) error {
	err := t.lock(ctx, lockAccount(owner))
	var ended []string
	if err == nil {
		ended, err = list(ctx, t.q, value[string],
			`DELETE FROM session WHERE account = $1 AND id <> $2 RETURNING id`, string(owner), string(but))
	}
	if err == nil {
		err = t.forgetRemains(ctx, owner)
	}
	if err != nil {
		return fmt.Errorf("end sessions of account: %w", err)
	}
	for _, id := range ended {
		t.tell(session.SessionChanged, id)
	}
	return nil
}
