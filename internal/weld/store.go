package weld

import (
	"context"
	"time"

	"github.com/stepgate/stepgate/internal/session"
)

// Hash is a keyed hash of site, name and value of a cookie.
type Hash [32]byte

// Bond ties a cookie's value to a session.
type Bond struct {
	Hash    Hash
	Session session.ID
	// Offered marks a value that the app set in the session and that nobody
	// has confirmed yet.
	Offered bool
	// At is when it was kept, ExpiresAt when it may be forgotten. It outlives
	// its session: the app may not know that the session has ended.
	At, ExpiresAt time.Time
}

// MaxOffered is how many bonds of offered values are kept of one session; a
// value has two.
const MaxOffered = 16

// Store keeps bonds.
type Store interface {
	// KeepBonds adds bonds, all or none. A bond that is there already stays,
	// with the later of both ends; offered becomes bound, never the other
	// way round. Of a session's offered ones the newest MaxOffered stay.
	KeepBonds(ctx context.Context, bonds []Bond) error
	// BondsOf lists those of a session that have not expired at now.
	BondsOf(ctx context.Context, id session.ID, now time.Time) ([]Bond, error)
	// SessionsBound lists the sessions but one that one of the hashes is bound
	// to; being offered it does not count.
	SessionsBound(ctx context.Context, hashes []Hash, but session.ID, now time.Time) ([]session.ID, error)
	// BondElsewhere tells whether one of the hashes is bound or offered to
	// another session than but ("" for any session).
	BondElsewhere(ctx context.Context, hashes []Hash, but session.ID, now time.Time) (bool, error)
}
