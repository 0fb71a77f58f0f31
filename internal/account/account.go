package account

import (
	"crypto/rand"
	"errors"
	"time"
)

// Errors of whoever keeps accounts. Compare with errors.Is.
var (
	// ErrNotFound says that no such account, organisation or credential
	// exists. Towards visitors it must look like a wrong password.
	ErrNotFound = errors.New("account: not found")
	// ErrTaken says that the name (or the source's identifier) belongs to
	// another account already, or that the organisation exists.
	ErrTaken = errors.New("account: name taken")
	// ErrInUse says that an organisation still has accounts.
	ErrInUse = errors.New("account: in use")
)

// ID names an account for as long as it exists: 128 random bits in base32,
// never reused, safe to show to the upstream as `sub`.
type ID string

// CredentialID names one enrolled credential: 128 random bits in base32.
type CredentialID string

// NewID makes the ID of an account that is about to be created.
func NewID() ID { return ID(rand.Text()) }

// NewCredentialID makes the ID of a credential that is about to be enrolled.
func NewCredentialID() CredentialID { return CredentialID(rand.Text()) }

// DefaultOrganisation is the organisation of accounts that name none. It
// exists in every new store.
const DefaultOrganisation = "default"

// LocalSource is the name of the gateway's own sign-in source.
const LocalSource = "local"

// Account is a person known to the gateway. All times are UTC.
type Account struct {
	ID ID
	// Source is the name of the sign-in source that vouches for the person;
	// Subject is that source's own stable identifier (entryUUID, `sub`; for
	// local accounts the ID itself). The pair is unique. What the person
	// types is never the key.
	Source  string
	Subject string
	// Username is the name as the person writes it. Folded by FoldUsername
	// it is unique within Source.
	Username string
	Name     string
	// Parts are those of Name where somebody entered them; see NameParts.Of.
	Parts NameParts
	Email string
	// Mobile is E.164 ("+447700900123") or empty.
	Mobile       string
	Groups       []string
	Organisation string
	Role         Role
	// TwoFactor is the person's own wish that every path which is not public
	// asks for `mfa`.
	TwoFactor bool
	// SuspendedAt is zero for an account in use. A suspended account has no
	// sessions and gets none.
	SuspendedAt time.Time
	CreatedAt   time.Time
	// Version grows with every change of the account or of its credentials, so
	// that who changes it can tell whether somebody else has meanwhile.
	Version int64
}

// Suspended tells whether the account may not be used.
func (a Account) Suspended() bool { return !a.SuspendedAt.IsZero() }

// Organisation is a group of accounts with shared administrators and rules.
type Organisation struct {
	Name string
	// Require is the name of a built-in level that every path which is not
	// public needs for its accounts; empty for none.
	Require string
	// Enrolment is who may enrol a first second factor without one (self,
	// contact, invited); empty for what the site says.
	Enrolment string
	CreatedAt time.Time
}

// Credential is one enrolled instance of a factor.
type Credential struct {
	ID      CredentialID
	Account ID
	// Factor is the text of a policy.Factor ("totp").
	Factor string
	// Label is what the person calls it; never empty.
	Label string
	// Address is where the factor sends codes: E.164 or an e-mail address;
	// empty for factors that send nothing.
	Address string
	// Secret is the factor's own data (a TOTP seed, a public key record).
	// The store seals it with associated data of its row.
	Secret Secret
	// MACKey is the ID of the key of the ring under which the Secret holds MACs
	// of what the person knows, so that they cannot be made anew without the
	// person. Empty where there are none, or where the key was not written down.
	MACKey string
	// Handle is what the credential is found by before anyone is known, and
	// unique in the store: a hash of the identifier that an authenticator
	// gave it. Empty for factors that are asked only of somebody known.
	Handle string
	// Counter is what the factor must never accept twice: the last TOTP step
	// used, a signature counter. It moves only through the store's verb.
	Counter int64
	// Default marks the one the person wants to be asked for first.
	Default    bool
	CreatedAt  time.Time
	LastUsedAt time.Time
	// BoundBy lists the factors of the proofs under which it was added.
	// Before CountsFrom a proof made with it counts only for levels which
	// those factors would meet. A zero CountsFrom means: counts at once.
	BoundBy    []string
	CountsFrom time.Time
}

// Filter selects accounts of a listing. The zero value selects all.
type Filter struct {
	Organisation string
	Source       string
	Role         Role
	// Query finds by the beginnings of words of the username, name and e-mail
	// (Words): all of its first MaxTerms must be there. What is found comes in
	// the order of the words, a listing without a query in that of usernames.
	Query string
	// After is the ID behind which the page begins; Limit at most how many,
	// 0 means 100.
	After ID
	Limit int
}
