package session

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/policy"
)

var (
	// ErrNotFound says that no session has this identifier, or that it has
	// ended. The visitor is nobody.
	ErrNotFound = errors.New("session: not found")
	// ErrChanged says that the password was changed between being compared
	// and the session's beginning. It may be compared again.
	ErrChanged = errors.New("session: password changed meanwhile")
	// ErrCannotListen says that the store does not tell of changes by itself.
	ErrCannotListen = errors.New("session: the store tells of no changes by itself")
	// ErrStore says that the store could not be asked and the session is not
	// one that this node may still trust. Nothing but public paths goes on.
	ErrStore = errors.New("session: store unreachable")
)

// ID names a session for its whole life, over every change of identifier. It
// is shown in lists and as `sid`; it opens nothing.
type ID string

// Hash is the SHA-256 of the identifier that the browser holds. The store has
// nothing else of it.
type Hash [sha256.Size]byte

// Identifier is what the browser holds, sealed: 256 random bits.
type Identifier [32]byte

// NewIdentifier makes the identifier of a session that begins or rises.
func NewIdentifier() Identifier {
	var id Identifier
	rand.Read(id[:])
	return id
}

// Hash is what the store keeps of the identifier.
func (id Identifier) Hash() Hash { return sha256.Sum256(id[:]) }

// Session is one signed-in browser at one site, as the store keeps it. One
// row an identifier: a raised session has a current row and, for ten seconds,
// a superseded one with the proofs it had. All times are UTC.
type Session struct {
	ID      ID
	Hash    Hash
	Account account.ID
	// Site is the origin that the session belongs to.
	Site string
	// Source is the sign-in source that began it.
	Source string
	Proofs []policy.Proof
	// Device is "", "public" or "private"; DeviceID is the credential of a
	// private one, with which the session ends.
	Device   string
	DeviceID string
	// Risk is the risk found when the session began or its surroundings
	// changed: "", "low", "medium", "high".
	Risk      string
	CreatedAt time.Time
	// SeenAt is the last request, exact to a minute in the store.
	SeenAt time.Time
	// EndsAt is the absolute limit, or for a superseded row the end of the
	// overlap.
	EndsAt time.Time
	// SupersededAt is zero for the current row.
	SupersededAt time.Time
	// Address and UserAgent are those of the sign-in, for the person's list.
	Address   string
	UserAgent string
	// Tie is what else the session ends with. InsertSession keeps it, and
	// RaiseSession where change gives one; nobody reads it with the session.
	Tie Tie
	// Password is the mark of the password that a sign-in has compared; empty
	// where it compared none of ours. InsertSession looks at it, nobody keeps
	// it.
	Password account.PasswordMark
}

// Mark tells the session apart from others, under whichever identifier, and
// names it to nobody: it stands in pages.
func (s *Session) Mark() string {
	sum := sha256.Sum256([]byte("mark of session " + string(s.ID)))
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}

// Tie is what a session ends with besides its own limits.
type Tie struct {
	// IssuerSession is the issuer's own name for the sign-in, by which it may
	// say that it has ended; "" where it gave none.
	IssuerSession string
	// Root is the session of another site that this one came of; "" for one
	// that a sign-in at its own site began.
	Root ID
	// Note is what the source needs to sign the person out where they signed
	// in. The store seals it.
	Note []byte
}

// Owner is the account of a session with what its organisation requires, as
// one read of the store gives them together.
type Owner struct {
	Account account.Account
	// Require is the organisation's required built-in level, or empty.
	Require string
	// Enrolment is who of the organisation may enrol a first second factor, or
	// empty for what the site says.
	Enrolment string
}

// Requires lists the built-in levels that the account's organisation and the
// person ask for on every path that is not public.
func (o Owner) Requires() []string {
	var names []string
	if o.Require != "" {
		names = append(names, o.Require)
	}
	if o.Account.TwoFactor && o.Require != policy.LevelMFA {
		names = append(names, policy.LevelMFA)
	}
	return names
}

// ChangeKind says what a Change is about.
type ChangeKind string

// The kinds of change that nodes tell one another.
const (
	SessionChanged      ChangeKind = "session"      // Key is a session.ID: ended or raised
	AccountChanged      ChangeKind = "account"      // Key is an account.ID: data, credentials or suspension
	OrganisationChanged ChangeKind = "organisation" // Key is its name
)

// Change is a row of the store's feed of changes. Every write that alters
// what a node may have in memory adds one in the same transaction.
type Change struct {
	Seq  int64
	Kind ChangeKind
	Key  string
}

// Store is what this package asks of whoever keeps sessions. Each method is
// atomic; errors other than ErrNotFound are technical.
type Store interface {
	// InsertSession keeps a new session. In the same transaction it looks at
	// the account: account.ErrNotFound when it is gone or suspended,
	// ErrChanged when its password is not s.Password's any more.
	InsertSession(ctx context.Context, s Session) error
	// SessionByHash returns the row of an identifier, superseded or not, and
	// its owner; ErrNotFound where there is none or it has ended at now.
	SessionByHash(ctx context.Context, h Hash, now time.Time) (Session, Owner, error)
	// RaiseSession gives the session a new identifier: it reads the current
	// row, lets change alter a copy, keeps that under next and leaves the
	// old row, superseded, until overlapEnds. Two raises at once both hold:
	// the later sees what the earlier wrote. ErrNotFound when it has ended.
	RaiseSession(ctx context.Context, r Raising) (*Risen, error)
	// TouchSessions moves SeenAt of current rows forward, never back, in one
	// write. Sessions that have ended are left out.
	TouchSessions(ctx context.Context, seen map[ID]time.Time) error
	// RescoreSession gives a session another risk. One that has ended is left
	// alone.
	RescoreSession(ctx context.Context, id ID, risk string) error
	// Remains returns what is known of an identifier's session, also for
	// Remembered after it has ended; ErrNotFound when that is longer ago,
	// when EndAccountSessions ended it, or when the account is suspended.
	Remains(ctx context.Context, h Hash) (Remains, error)
	// EndSession ends every row of the session. Ending twice is no error.
	EndSession(ctx context.Context, id ID) error
	// EndTied ends a session with all that came of the same sign-in at other
	// sites, and returns which it tried.
	EndTied(ctx context.Context, id ID) ([]ID, error)
	// EndIssuerSessions is EndTied for each session that one of a source's
	// issuer began.
	EndIssuerSessions(ctx context.Context, source, issuerSession string) ([]ID, error)
	// SessionNote returns Tie.Note; ErrNotFound where there is none.
	SessionNote(ctx context.Context, id ID) ([]byte, error)
	// SessionOwners lists the accounts of a source that are signed in somewhere,
	// each once.
	SessionOwners(ctx context.Context, source string, now time.Time) ([]account.ID, error)
	// EndAccountSessions ends all sessions of an account but one ("" for all)
	// and forgets those that had ended before.
	EndAccountSessions(ctx context.Context, owner account.ID, but ID) error
	// SessionsOf lists the current sessions of an account, newest first.
	SessionsOf(ctx context.Context, owner account.ID, now time.Time) ([]Session, error)
	// Changes returns what was added to the feed behind seq, in order, and
	// the newest seq. With seq < 0 it returns only the newest seq.
	Changes(ctx context.Context, seq int64) ([]Change, int64, error)
	// Listen calls heard, which must not block, soon after any node has added
	// to the feed, until ctx ends. Nothing may be believed because nothing was
	// heard. An error ends the listening before; ErrCannotListen, that the
	// store has no way to tell.
	Listen(ctx context.Context, heard func()) error
}
