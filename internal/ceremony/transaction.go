package ceremony

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"time"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/factors/delivery"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/throttle"
	"github.com/stepgate/stepgate/policy"
)

// ErrTransactionGone says that a transaction is unknown, over, or another
// session's. The page sends the person back to the dispatcher.
var ErrTransactionGone = errors.New("ceremony: transaction gone")

// TransactionTTL is how long a begun step waits for its answer.
const TransactionTTL = 15 * time.Minute

// Transaction is the stored state of one step of a ceremony inside a session:
// which factor is being proved or enrolled, by whom, for whom, for what.
type Transaction struct {
	ID string
	// Session and Key together are unique among open transactions: reloading
	// a page finds the same one. Key is the continuation's ID and the step.
	Session session.ID
	Key     string
	// Actor does it, Subject is whose credential it is about. They differ
	// only when an administrator acts.
	Actor   account.ID
	Subject account.ID
	Site    string
	Purpose string
	Factor  policy.Factor
	// State is the factor's own; the store seals it.
	State     factors.State
	CreatedAt time.Time
	ExpiresAt time.Time
	// Version counts saves; SaveTransaction refuses an older one.
	Version int64
}

// ErrNotFirst says that the account got a second factor since it was decided
// that none stood in the way of a first. The page sends the person back to the
// dispatcher.
var ErrNotFirst = errors.New("ceremony: another second factor is there already")

// First is what has to hold still for a credential that only a first second
// factor may be added on so little authority.
type First struct {
	// Among are the factors that count as second ones.
	Among []string
	// Beside are the credentials of those that the decision has seen.
	Beside []account.CredentialID
}

// Enrolled is what a finished enrolment writes in one transaction.
type Enrolled struct {
	// Transaction is redeemed: ErrTransactionGone when it was before.
	Transaction string
	Credential  account.Credential
	// Sole takes away the account's other credentials of the same factor:
	// new codes of a list void the old.
	Sole bool
	// Replaces, if it is not empty, is a credential of the same account and
	// factor that goes, with what is open under it. One that is gone already
	// is no error.
	Replaces account.CredentialID
	// First, where there is one, is looked at in the same transaction:
	// ErrNotFirst when the account holds more by now.
	First *First
	Event audit.Event
	// Messages tell the person of it.
	Messages []delivery.Queued
}

// Passed is what a right answer writes in one transaction.
type Passed struct {
	// Transaction, where it is set, is redeemed: ErrTransactionGone when
	// another answer has passed with it.
	Transaction string
	// Earmark, where it is set, is opened: a proof for one request, or one
	// operation, is spent from it.
	Earmark *Transaction
	// Counters are the try's budgets, which Settle puts right.
	Counters []throttle.Key
	Settle   func([]throttle.Counter)
	Event    audit.Event
	// Messages tell the person of it.
	Messages []delivery.Queued
	// Raising adds the proof to the session: session.ErrNotFound when that
	// has ended, and nothing is kept.
	Raising session.Raising
}

// Tried is an answer that is compared in the write that charges it.
type Tried struct {
	// Account and Session are those whose session a right answer raises. They
	// are looked up together with the counters.
	Account account.ID
	Session session.ID
	// Counters are the try's budgets. Charge takes from them, before anything
	// is compared; on its error nothing is kept.
	Counters []throttle.Key
	Charge   func([]throttle.Counter) error
	// Compare compares the answer. What it writes by the context that it is
	// given belongs to the same write; any other write of the store would wait
	// for ever. It gives what a right answer brings, whose Settle then meets
	// the charged counters and whose Counters do not count; nil for a wrong
	// answer, whose charge is kept. On its error nothing is. It may be called
	// again, when nothing was kept of the time before.
	Compare func(context.Context) (*Passed, error)
}

// Store keeps the transactions of ceremonies.
type Store interface {
	// OpenTransaction returns the open transaction with t's Session and Key,
	// or keeps t and returns it. Atomic: two tabs get the same one.
	OpenTransaction(ctx context.Context, t Transaction, now time.Time) (Transaction, error)
	// FindTransaction returns the open transaction of a session and key;
	// ErrTransactionGone for none.
	FindTransaction(ctx context.Context, of session.ID, key string, now time.Time) (Transaction, error)
	// Transaction reads one; ErrTransactionGone when it is not open at now.
	Transaction(ctx context.Context, id string, now time.Time) (Transaction, error)
	// SaveTransaction replaces State and ExpiresAt of an open transaction if
	// its Version is still t's; ErrTransactionGone otherwise.
	SaveTransaction(ctx context.Context, t Transaction, now time.Time) error
	// RedeemTransaction ends an open transaction, once: of any number of
	// callers one gets nil and the others ErrTransactionGone.
	RedeemTransaction(ctx context.Context, id string, now time.Time) error
	// Enrol redeems the transaction, keeps the credential (the account's
	// first of its factor becomes the default if it has none), appends the
	// event and puts the messages into the outbox, all or nothing. account.ErrTaken says that another
	// credential has its handle.
	Enrol(ctx context.Context, e Enrolled, now time.Time) error
	// Pass keeps all that a right answer brings, or nothing.
	Pass(ctx context.Context, p Passed, now time.Time) (*session.Risen, error)
	// Answer charges a try, has the answer compared, and keeps all that a right
	// one brings, in one write: by the time that it returns, and no earlier,
	// the outcome is durable and may be told. Errors of Charge and Compare
	// come back, as do those of Pass. Nothing has risen where the answer was
	// wrong.
	Answer(ctx context.Context, a Tried, now time.Time) (*session.Risen, error)
	// Note appends an event and puts the messages that tell of it into the
	// outbox, all or nothing.
	Note(ctx context.Context, e audit.Event, messages []delivery.Queued) error
}

// OnceTransaction names the transaction by whose redemption a proof for one
// request is spent, once on all nodes.
func OnceTransaction(id session.ID, proof policy.Proof) string {
	sum := sha256.Sum256([]byte(string(id) + "\x00" + proof.Once + "\x00" + proof.Credential + "\x00" + proof.At.UTC().Format(time.RFC3339Nano)))
	return hex.EncodeToString(sum[:16])
}
