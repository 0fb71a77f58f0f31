package factors

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/policy"
)

// What a factor answers when a verification does not succeed. Everything
// else is a technical failure: the page says so and offers other factors.
var (
	// ErrWrongAnswer is a wrong, malformed or mistyped answer.
	ErrWrongAnswer = errors.New("factors: wrong answer")
	// ErrReplayed is an answer that was right once and has been used.
	ErrReplayed = errors.New("factors: answer used before")
	// ErrExpired is an answer to a challenge that has run out of time or
	// tries, or was replaced: a new one has to be asked for.
	ErrExpired = errors.New("factors: challenge expired")
	// ErrUnavailable says that the factor cannot be used now (its provider
	// is down, over budget or refuses this address). Others are offered.
	ErrUnavailable = errors.New("factors: not available now")
	// ErrCloned says that an authenticator counted its answers as only a copy
	// of it would. Nothing was accepted; somebody should look at it.
	ErrCloned = errors.New("factors: authenticator may have been copied")
	// ErrUnverified says that the answer is right but that the authenticator
	// did not verify the person, which is needed here.
	ErrUnverified = errors.New("factors: person not verified")
	// ErrDestroyed says that there were too many wrong answers and that the
	// credential is no more. Another way has to be gone.
	ErrDestroyed = errors.New("factors: destroyed")
	// ErrTaken says that this very authenticator or address is enrolled.
	ErrTaken = errors.New("factors: already enrolled")
	// ErrModel is a wrong answer too: that of an authenticator of a model that
	// may not be enrolled.
	ErrModel = fmt.Errorf("%w: not an allowed model", ErrWrongAnswer)
	// ErrPending says that the answer has not come yet, by the other way that
	// it comes. Nothing was compared.
	ErrPending = errors.New("factors: not answered yet")
	// ErrCrowded says that as many challenges of the factor wait for their
	// answer as may.
	ErrCrowded = errors.New("factors: too many challenges are open")
	// ErrDenied says, of a challenge that cannot be made yet, that the person
	// refused one of the factor a moment ago.
	ErrDenied = errors.New("factors: a challenge was refused a moment ago")
	// ErrBadAddress says that an address cannot be used (not a number, a
	// country that is not allowed). The person may type another.
	ErrBadAddress = errors.New("factors: unusable address")
)

// NumberError is ErrBadAddress for a phone number: texts go to mobile numbers
// of some countries alone.
type NumberError struct {
	// Countries are those, by ISO 3166 code.
	Countries []string
}

func (e *NumberError) Error() string {
	return "factors: no mobile number of " + strings.Join(e.Countries, ", ")
}

func (e *NumberError) Unwrap() error { return ErrBadAddress }

// Unsuitable is the error of an enrolment whose new secret may not be used: too
// easily guessed, or not the same both times. The page is shown again with the
// text, of the page's catalogue, at the field.
type Unsuitable struct{ Field, Text string }

func (u *Unsuitable) Error() string { return "factors: unsuitable " + u.Field + ": " + u.Text }

// TooSoon is the error of a button that asks for another code before its time.
// The page is 429 with Retry-After; the code that was sent before still holds.
type TooSoon struct{ After time.Duration }

func (t *TooSoon) Error() string {
	return fmt.Sprintf("factors: too soon for another code: wait %s", t.After.Round(time.Second))
}

// Scope says for whom, where and for what a challenge is made. A challenge
// answered in another scope than it was made in must fail.
type Scope struct {
	Account account.Account
	// Session is the session's public ID, empty before there is one.
	Session string
	// Site is the origin ("https://portal.example.gov"); messages and
	// WebAuthn take their host from here, never from a request.
	Site string
	// SiteName is how the pages call the portal.
	SiteName string
	// RelyingParty is the WebAuthn RP ID; RelyingPartyName is how
	// authenticators call it.
	RelyingParty     string
	RelyingPartyName string
	// Purpose is a short word for the ceremony ("sign-in", "step-up",
	// "enrol", "reset-password", or the name of an operation). A code made
	// for one purpose is refused for another.
	Purpose string
	// Transaction is the ceremony's ID.
	Transaction string
	// Device is the credential that the browser says it holds of this
	// account, by a cookie of ours; empty for none.
	Device account.CredentialID
	// Language is the BCP 47 tag of the page, for messages that go out.
	Language string
	// Address is the client's, for the budgets of messages.
	Address netip.Addr
	// About says what the proof is for, in words that a person is shown
	// elsewhere than on the page.
	About About
	Now   time.Time
}

// About is what a proof is for, and where it is asked from.
type About struct {
	// Method and Target are those of the one request that it opens, Operation
	// the words for what it lets somebody do to the account; all are empty where
	// it is for whatever it counts for.
	Method, Target, Operation string
	// Browser and Place are the client's, in words; empty where not known.
	Browser, Place string
}

// State is what a factor wants to remember between asking and verifying. The
// ceremony keeps it in its stored transaction, sealed; no visitor sees it.
// Anything that must be spent once is kept by the factor's own store verbs,
// not here.
type State []byte

// Answer is what the person posted. Fields has the form's values by the
// contract's names (`code`, `pin`, `answer_1`, `credential` for the JSON of a
// WebAuthn response).
type Answer struct {
	Fields map[string]string
}

// Code returns the `code` field.
func (a Answer) Code() string { return a.Fields["code"] }

// Factor is one kind of proof. Implementations are safe for concurrent use.
type Factor interface {
	// Kind is the factor's word.
	Kind() policy.Factor

	// Prepare begins a challenge with one enrolled credential (for factors
	// that ask all credentials at once, such as webauthn: any of held). It
	// may send a message when send is true; it must not when send is false,
	// for then a page is only being shown. held has every credential of this
	// kind that the account has, the default first.
	Prepare(ctx context.Context, scope Scope, held []account.Credential, state State, send bool) (Prompt, State, error)

	// Verify compares an answer. It burns whatever may be used only once in
	// the write that accepts it, before it returns nil. It returns the
	// credential that was used.
	Verify(ctx context.Context, scope Scope, held []account.Credential, state State, answer Answer) (Verified, error)
}

// Enroller is a factor that a person can enrol with the ceremony's pages.
// Temporary codes, for one, are not.
type Enroller interface {
	Factor
	// BeginEnrolment makes the prompt that the person answers to prove that
	// they hold the new credential. With a nil state it begins; with a state
	// it shows the same again. answer carries what a first page asked for
	// (`mobile`, `email`, `label`) or a button (`action`: "send", "resend",
	// "new"); its zero value means that a page is only being shown, and
	// nothing may be sent.
	BeginEnrolment(ctx context.Context, scope Scope, held []account.Credential, state State, answer Answer) (Prompt, State, error)
	// ConfirmEnrolment checks the answer and returns the credential to be
	// stored; ID, Account, CreatedAt and the binding are filled in by the
	// ceremony. Nothing is stored on an error.
	ConfirmEnrolment(ctx context.Context, scope Scope, held []account.Credential, state State, answer Answer) (account.Credential, error)
}

// Verified is what a successful verification established.
type Verified struct {
	Credential account.Credential
	// UserVerified is for webauthn (policy.Proof).
	UserVerified bool
	// Notice, when not empty, is the key of a message that the person is
	// told about this use ("backup-code-used"), with the credential's label.
	Notice string
}
