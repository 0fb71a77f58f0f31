package store

import (
	"context"
	"io"
	"time"

	"github.com/stepgate/stepgate/factors/approval"
	"github.com/stepgate/stepgate/factors/delivery"
	"github.com/stepgate/stepgate/factors/oob"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/kept"
	"github.com/stepgate/stepgate/internal/keys"
	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/throttle"
	"github.com/stepgate/stepgate/internal/weld"
)

// Reader is what may be asked without changing anything.
type Reader interface {
	people.Reader
	// Usernames has those of the accounts that there are, to be shown: one that
	// several sources have is followed by its source.
	Usernames(ctx context.Context, ids []account.ID) (map[account.ID]string, error)
	// AnyAccount tells whether there is one at all.
	AnyAccount(ctx context.Context) (bool, error)
	Credential(ctx context.Context, id account.CredentialID) (account.Credential, error)
	// CredentialByHandle finds one over all accounts; account.ErrNotFound for
	// none, and for the empty handle.
	CredentialByHandle(ctx context.Context, handle string) (account.Credential, error)
}

// Tx is one write transaction: all of it happens or none. It must be short
// and call nothing outside the store.
type Tx interface {
	Reader
	people.Tx
}

// Store is everything that a database does for the gateway.
type Store interface {
	Reader
	session.Store
	ceremony.Store
	throttle.Store
	weld.Store
	kept.Store
	audit.Store
	audit.Receivers
	oob.Codes
	delivery.Store
	approval.Store
	// OpenApprovals lists the requests that wait on somebody's phone, the
	// newest first.
	OpenApprovals(ctx context.Context, owner account.ID, now time.Time) ([]approval.Request, error)
	// AnswerApproval lets answer judge the answer of a phone to an open request
	// of its account, and keeps the secret of the one and the state of the other
	// as it leaves them, with the event and the messages, all in one write
	// transaction: of many answers at once one finds the request open.
	// approval.ErrGone where it is not, account.ErrNotFound for a phone that was
	// revoked; an error of answer keeps nothing and is returned as it is.
	AnswerApproval(ctx context.Context, id string, by account.CredentialID, now time.Time, answer func(*account.Credential, *approval.Request) (audit.Event, []delivery.Queued, error)) error
	// ConsumeStep moves a credential's Counter to step and its LastUsedAt to
	// now, if Counter was lower; it tells whether it did. RFC 6238 §5.2.
	ConsumeStep(ctx context.Context, id account.CredentialID, step int64, now time.Time) (bool, error)
	// UseCredential reads a credential, lets use look at it and alter its
	// Counter, Secret and MACKey, and keeps these with LastUsedAt = now, all in one
	// write transaction: each of many uses at once sees what the one before
	// it left. An error of use keeps nothing and is returned as it is;
	// account.ErrNotFound when the credential is gone. It returns what was
	// kept.
	UseCredential(ctx context.Context, id account.CredentialID, now time.Time, use func(*account.Credential) error) (account.Credential, error)
	// TouchCredentials moves LastUsedAt of credentials forward. Those that are
	// gone are left out. The account's version stays.
	TouchCredentials(ctx context.Context, used map[account.CredentialID]time.Time) error
	// Update runs change in one write transaction, grouped with others that
	// wait. It returns only when the commit is durable.
	Update(ctx context.Context, change func(Tx) error) error
	// UpdateAtLength is Update for what takes long. Where the store can, other
	// changes come and go while long runs: it must make nothing but what is new,
	// and rely on nothing that it has read. Then comes end, in turn with all
	// other changes, which checks what must hold and appends the events. All of
	// both happens, or none.
	UpdateAtLength(ctx context.Context, long, end func(Tx) error) error
	// RevokeDevice is Tx.RevokeDevice with its event, in one transaction.
	RevokeDevice(ctx context.Context, owner account.ID, id account.CredentialID, e audit.Event, messages []delivery.Queued) error
	// KeepVisits is Tx.KeepVisits in a transaction of its own.
	KeepVisits(ctx context.Context, owner account.ID, change func(account.Secret) (account.Secret, error)) error
	// VoidSpendable makes a store that was brought back from a backup safe: it
	// ends all sessions and ceremonies, forgets codes under way, messages that
	// wait, welded cookies and kept requests, removes backup and temporary
	// codes, and lets no step of an authenticator app count that may have been
	// used. It appends event with what went, all in one transaction, and
	// returns how many lists of codes that was.
	VoidSpendable(ctx context.Context, now time.Time, event audit.Event) (codes int64, err error)
	// PruneEvents deletes the oldest records of the audit trail, those up to a
	// number, and returns how many. The trail must say first, in itself, that
	// it will begin behind them (audit.AuditPruned).
	PruneEvents(ctx context.Context, upTo int64) (int64, error)
	// Keys is what the store knows of the keys that ever wrote to it.
	Keys(ctx context.Context) ([]keys.Known, error)
	// SaveKeys adds check values to those that the store has, after the first
	// opening and before a rotated key writes anything, and notes that primary
	// is in use. None is ever taken away.
	SaveKeys(ctx context.Context, checks []string, primary string, now time.Time) error
	// KeyNeeds counts what is kept that needs keys, the rows of the present one
	// among it.
	KeyNeeds(ctx context.Context) ([]keys.Need, error)
	// Reseal seals what lasts with the primary key, where it is not. It goes on
	// over rows that do not open, and then says so.
	Reseal(ctx context.Context) error
	// RetireKeys notes that keys are retired, with the event, all or none:
	// keys.ErrInUse where one of them was used after unusedSince, or is not
	// known. The store asks for them no more.
	RetireKeys(ctx context.Context, checks []string, unusedSince, now time.Time, event audit.Event) error
	// Purge deletes what is over: sessions and what is known of them after
	// session.Remembered, transactions, codes, kept requests, messages whose
	// time is over, old feed rows, idle throttle counters.
	Purge(ctx context.Context, now time.Time) error
	io.Closer
}
