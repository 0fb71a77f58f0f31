package people

import (
	"context"
	"fmt"
	"time"

	"github.com/stepgate/stepgate/factors/delivery"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/session"
)

// Reader is what this package asks of the store without changing anything.
type Reader interface {
	Account(ctx context.Context, id account.ID) (account.Account, error)
	AccountByUsername(ctx context.Context, source, folded string) (account.Account, error)
	AccountBySubject(ctx context.Context, source, subject string) (account.Account, error)
	// Accounts lists by folded username, f.Limit at most, behind f.After.
	Accounts(ctx context.Context, f account.Filter) ([]account.Account, error)
	// AccountsNamed are those of some folded usernames, of all sources, and
	// AccountsBySubject those of some identifiers of one source.
	AccountsNamed(ctx context.Context, folded ...string) ([]account.Account, error)
	AccountsBySubject(ctx context.Context, source string, subjects []string) ([]account.Account, error)
	// Pin returns what a name has led to; account.ErrNotFound for nothing.
	Pin(ctx context.Context, source string, kind account.PinKind, name string) (account.Pin, error)
	// Pins lists the names, submitted and given, that have led to an account.
	Pins(ctx context.Context, owner account.ID) ([]account.Pin, error)
	// PasswordHash returns the PHC string of a local account, "" for none.
	PasswordHash(ctx context.Context, id account.ID) (string, error)
	Organisation(ctx context.Context, name string) (account.Organisation, error)
	Organisations(ctx context.Context) ([]account.Organisation, error)
	Credentials(ctx context.Context, owner account.ID) ([]account.Credential, error)
	// Visits are what is remembered of where an account has been, and in which
	// browsers.
	Visits(ctx context.Context, owner account.ID) (account.Secret, error)
	// Transaction reads an open one; ceremony.ErrTransactionGone for none.
	// TransactionsFor lists the open ones of a purpose, oldest first.
	Transaction(ctx context.Context, id string, now time.Time) (ceremony.Transaction, error)
	TransactionsFor(ctx context.Context, purpose string, now time.Time) ([]ceremony.Transaction, error)
}

// Tx is one write transaction of the store: all of it happens or none. It must
// be short and call nothing outside the store.
type Tx interface {
	Reader
	InsertAccount(ctx context.Context, a account.Account) error
	// InsertAccounts keeps many; account.ErrTaken where one of them cannot be,
	// and the transaction has to be given up.
	InsertAccounts(ctx context.Context, all []account.Account) error
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
	// UpdateCredential replaces Label, Default, Secret, MACKey, LastUsedAt.
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
	// AppendEvents appends many, in their order.
	AppendEvents(ctx context.Context, all []audit.Event) error
	// KeepVisits lets change alter what is remembered of where an account has
	// been, and in which browsers. It goes with the account;
	// account.ErrNotFound where that is gone.
	KeepVisits(ctx context.Context, owner account.ID, change func(account.Secret) (account.Secret, error)) error
	// QueueMessage puts a message into the outbox if the transaction is kept.
	QueueMessage(ctx context.Context, k delivery.Queued, limit int) error
}

// Store keeps accounts and organisations. Update returns only when the
// commit is durable.
type Store interface {
	Reader
	Update(ctx context.Context, change func(Tx) error) error
	// UpdateAtLength is Update for what takes long: others need not wait for
	// long, which makes nothing but what is new and relies on nothing that it
	// reads, and end is in turn with all other changes.
	UpdateAtLength(ctx context.Context, long, end func(Tx) error) error
}

// Passwords judges and hashes passwords of local accounts.
type Passwords interface {
	// Check refuses a password that is too weak for the account. The error's
	// text is for the person who chose it and does not contain it.
	Check(password account.Secret, owner account.Account) error
	// Hash returns the PHC string to keep. It is slow on purpose.
	Hash(ctx context.Context, password account.Secret) (string, error)
}

// Source is a sign-in source that the gateway's sites name.
type Source struct {
	Name string
	// SubjectIsName is set for sources that know people by nothing but a
	// name (a form that is watched, a trusted header): the folded username
	// is then the subject.
	SubjectIsName bool
	// Beside are the other sources of the sites that name this one. A
	// username is one person there, so no two of them get an account of it.
	Beside []string
}

// People carries the verbs. Its fields are set once, before first use; it is
// safe for concurrent use.
type People struct {
	Store     Store
	Passwords Passwords
	Temporary TemporaryCodes
	Tokens    Tokens
	// Sources are the configured sign-in sources; none means local alone.
	Sources []Source
	// Region is the ISO 3166 code of the country whose national phone
	// numbers are meant ("GB"); empty accepts only numbers with a "+".
	Region string
	// TextCountries are the countries whose mobile numbers get texts, by ISO
	// 3166 code; none says nothing. Accounts may have other numbers, of which
	// whoever adds them is warned.
	TextCountries []string
	// Links are those of the site where invited people register; nil where no
	// site signs local accounts in.
	Links *Links
	// Notices tells people what was done to their accounts by somebody else;
	// nil tells nobody.
	Notices *Notices
	// Callers are how a helpdesk finds out who is calling; nil lets none let
	// anybody in.
	Callers *Callers
	// TwoPerson makes what resets a person's factors, or stands in for them,
	// wait for a second administrator. Commands may still ask for it alone.
	TwoPerson bool
	Now       func() time.Time
	// DeviceEnds tells when the credential of a private device ends; zero for
	// one that has. Nil: devices are not known here.
	DeviceEnds func(account.Credential) time.Time
	// Browsers reads what is remembered of browsers; nil remembers none.
	Browsers Browsers
}

func (p *People) now() time.Time { return p.Now().UTC() }

// change runs one verb: it lets do alter the store and appends the event that
// do returns, in one transaction. The actor that do gets has been read in
// that transaction, so a role taken away a moment ago is not used any more.
func (p *People) change(ctx context.Context, actor Actor, do func(Tx, Actor) (audit.Event, error)) error {
	return p.Store.Update(ctx, func(tx Tx) error {
		current, err := actor.refresh(ctx, tx)
		if err != nil {
			return err
		}
		event, err := do(tx, current)
		if err != nil {
			return err
		}
		return p.record(ctx, tx, current, event)
	})
}

func (p *People) record(ctx context.Context, tx Tx, actor Actor, e audit.Event) error {
	if _, err := tx.AppendEvent(ctx, p.signed(e, actor)); err != nil {
		return fmt.Errorf("append audit event: %w", err)
	}
	return nil
}

// changeAccount is change for one account that exists: it finds it, checks
// that the actor may do this to it, and hands do the record as it is now.
func (p *People) changeAccount(ctx context.Context, actor Actor, who Who, act Action, do func(Tx, Actor, account.Account) (audit.Event, error)) error {
	if err := actor.may(act); err != nil {
		return err
	}
	found, err := p.find(ctx, actor, who)
	if err != nil {
		return err
	}
	return p.change(ctx, actor, func(tx Tx, current Actor) (audit.Event, error) {
		subject, err := tx.Account(ctx, found.ID)
		if err != nil {
			return audit.Event{}, unlessTechnical(err, noAccount(who.String(), ""))
		}
		if err := current.mayDo(act, subject); err != nil {
			return audit.Event{}, err
		}
		return do(tx, current, subject)
	})
}
