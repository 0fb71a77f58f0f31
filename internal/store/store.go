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
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/throttle"
	"github.com/stepgate/stepgate/internal/weld"
)

// Reader is what may be asked without changing anything.
type Reader interface {
	Account(ctx context.Context, id account.ID) (account.Account, error)
	AccountByUsername(ctx context.Context, source, folded string) (account.Account, error)
	AccountBySubject(ctx context.Context, source, subject string) (account.Account, error)
	// Accounts lists by folded username, f.Limit at most, behind f.After.
	Accounts(ctx context.Context, f account.Filter) ([]account.Account, error)
	AccountsNamed(ctx context.Context, folded string) ([]account.Account, error)
	// Usernames has those of the accounts that there are, to be shown: one that
	// several sources have is followed by its source.
	Usernames(ctx context.Context, ids []account.ID) (map[account.ID]string, error)
	// AnyAccount tells whether there is one at all.
	AnyAccount(ctx context.Context) (bool, error)
	// Pin returns what a name has led to; account.ErrNotFound for nothing.
	Pin(ctx context.Context, source string, kind account.PinKind, name string) (account.Pin, error)
	// Pins lists the names, submitted and given, that have led to an account.
	Pins(ctx context.Context, owner account.ID) ([]account.Pin, error)
	// PasswordHash returns the PHC string of a local account, "" for none.
	PasswordHash(ctx context.Context, id account.ID) (string, error)
	// Visits are what KeepVisits has left of an account, nil for nothing.
	Visits(ctx context.Context, owner account.ID) (account.Secret, error)
	Organisation(ctx context.Context, name string) (account.Organisation, error)
	Organisations(ctx context.Context) ([]account.Organisation, error)
	Credentials(ctx context.Context, owner account.ID) ([]account.Credential, error)
	// Transaction reads an open one; ceremony.ErrTransactionGone for none.
	// TransactionsFor lists the open ones of a purpose, oldest first.
	Transaction(ctx context.Context, id string, now time.Time) (ceremony.Transaction, error)
	TransactionsFor(ctx context.Context, purpose string, now time.Time) ([]ceremony.Transaction, error)
	Credential(ctx context.Context, id account.CredentialID) (account.Credential, error)
	// CredentialByHandle finds one over all accounts; account.ErrNotFound for
	// none, and for the empty handle.
	CredentialByHandle(ctx context.Context, handle string) (account.Credential, error)
}

// Tx is one write transaction: all of it happens or none. It must be short
// and call nothing outside the store.
type Tx interface {
	Reader
	InsertAccount(ctx context.Context, a account.Account) error
	// UpdateAccount replaces everything but ID, Source, CreatedAt; it moves
	// Version and tells the feed.
	UpdateAccount(ctx context.Context, a account.Account) error
	DeleteAccount(ctx context.Context, id account.ID) error
	SetPasswordHash(ctx context.Context, id account.ID, phc string) error
	// KeepPin adds a pin, or moves one of the same name to its account. They go
	// with their account.
	KeepPin(ctx context.Context, p account.Pin) error
	// DropPin forgets one, if it is there.
	DropPin(ctx context.Context, source string, kind account.PinKind, name string) error
	InsertOrganisation(ctx context.Context, o account.Organisation) error
	UpdateOrganisation(ctx context.Context, o account.Organisation) error
	// DeleteOrganisation gives account.ErrInUse while it has accounts.
	DeleteOrganisation(ctx context.Context, name string) error
	InsertCredential(ctx context.Context, c account.Credential) error
	// UpdateCredential replaces Label, Default, Secret, LastUsedAt.
	UpdateCredential(ctx context.Context, c account.Credential) error
	// DeleteCredential and DeleteCredentials also end what the credentials have
	// proved: their proofs leave every session, and a session that one of them
	// has begun ends.
	DeleteCredential(ctx context.Context, id account.CredentialID) error
	DeleteCredentials(ctx context.Context, owner account.ID) error
	// EndSessionOf ends one of an account's sessions: session.ErrNotFound where
	// it has none of that ID.
	EndSessionOf(ctx context.Context, owner account.ID, id session.ID) error
	// RevokeDevice removes a credential of a private device and ends the
	// sessions on it; account.ErrNotFound where the account has no such one.
	RevokeDevice(ctx context.Context, owner account.ID, id account.CredentialID) error
	// EndAccountSessions and DropTransactions end what an account has open,
	// codes that were sent and requests that were kept included.
	EndAccountSessions(ctx context.Context, owner account.ID, but session.ID) error
	DropTransactions(ctx context.Context, owner account.ID) error
	// ReplaceTransaction keeps t in place of an open one of its Session and
	// Key; RedeemTransaction ends one, ceremony.ErrTransactionGone where it is
	// not open.
	ReplaceTransaction(ctx context.Context, t ceremony.Transaction) error
	RedeemTransaction(ctx context.Context, id string, now time.Time) error
	AppendEvent(ctx context.Context, e audit.Event) (audit.Record, error)
	// KeepVisits lets change alter what is remembered of where an account has
	// been, and in which browsers. It goes with the account;
	// account.ErrNotFound where that is gone.
	KeepVisits(ctx context.Context, owner account.ID, change func(account.Secret) (account.Secret, error)) error
	// QueueMessage puts a message into the outbox if the transaction is kept.
	QueueMessage(ctx context.Context, k delivery.Queued, limit int) error
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
	// Counter and Secret, and keeps these with LastUsedAt = now, all in one
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
	// Purge deletes what is over: sessions and what is known of them after
	// session.Remembered, transactions, codes, kept requests, messages whose
	// time is over, old feed rows, idle throttle counters.
	Purge(ctx context.Context, now time.Time) error
	io.Closer
}
