package approval

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"math/big"
	"slices"
	"strconv"
	"time"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/softtoken"
)

// The limits of requests (contract, section 4).
const (
	// Lifetime is how long a request waits for its answer, and an answer for
	// the browser.
	Lifetime = 10 * time.Minute
	// MaxOpen is how many requests of an account are open at once.
	MaxOpen = 5
	// DenialWait is how long after a denial, or after the last request, the
	// next can be asked for; DeniedFor is for how long that holds.
	DenialWait = time.Minute
	DeniedFor  = time.Hour
)

// ErrGone says that a request is unknown, somebody else's, or not open.
var ErrGone = errors.New("approval: no such open request")

// Status is what has become of a request.
type Status string

// The states of a request; doc.go has their order.
const (
	Open        Status = "open"
	Approved    Status = "approved"
	Denied      Status = "denied"
	WrongNumber Status = "wrong-number"
	Replaced    Status = "replaced"
	Spent       Status = "spent"
)

// Request is one challenge, as the store keeps it. All times are UTC.
type Request struct {
	ID      string
	Account account.ID
	// Session, Transaction, Site and Purpose are those of the ceremony that
	// asks. No other can spend the answer.
	Session, Transaction, Site, Purpose string
	// Content is sealed by the store.
	Content Content
	Status  Status
	// Credential is the phone that answered; empty before.
	Credential account.CredentialID
	CreatedAt  time.Time
	ExpiresAt  time.Time
	// AnsweredAt is zero while nobody has.
	AnsweredAt time.Time
}

// Content is what a request is about.
type Content struct {
	softtoken.Exchange
	// Number is what the browser shows.
	Number string `json:"number"`
	// Shown is the JSON of what the phone shows, byte for byte.
	Shown []byte `json:"shown"`
}

// Shown is what a phone shows of a request.
type Shown struct {
	// Who is the account's username, Name the person's.
	Who  string `json:"who"`
	Name string `json:"name,omitempty"`
	// Site is how the portal is called, Origin where it is.
	Site   string `json:"site"`
	Origin string `json:"origin"`
	// Method and Target are those of the one request that is to be opened,
	// Operation the words for what is done to the account; without either it
	// is the way into the portal.
	Method    string `json:"method,omitempty"`
	Target    string `json:"target,omitempty"`
	Operation string `json:"operation,omitempty"`
	// Address, Place and Browser are where the browser is, and which.
	Address string `json:"address,omitempty"`
	Place   string `json:"place,omitempty"`
	Browser string `json:"browser,omitempty"`
	// At is when it was asked.
	At time.Time `json:"at"`
}

// newRequest makes the request of a ceremony.
func newRequest(scope factors.Scope) (Request, error) {
	exchange, err := softtoken.NewExchange()
	if err != nil {
		return Request{}, err
	}
	number, err := rand.Int(rand.Reader, big.NewInt(90))
	if err != nil {
		return Request{}, err
	}
	now := scope.Now.UTC()
	shown, err := json.Marshal(Shown{
		Who: scope.Account.Username, Name: scope.Account.Name, Site: scope.SiteName, Origin: scope.Site,
		Method: scope.About.Method, Target: scope.About.Target, Operation: scope.About.Operation,
		Address: scope.Address.String(), Place: scope.About.Place, Browser: scope.About.Browser, At: now.Truncate(time.Second),
	})
	return Request{
		ID: rand.Text(), Account: scope.Account.ID, Session: scope.Session, Transaction: scope.Transaction, Site: scope.Site, Purpose: scope.Purpose,
		Content: Content{Exchange: exchange, Number: strconv.FormatInt(number.Int64()+10, 10), Shown: shown},
		Status:  Open, CreatedAt: now, ExpiresAt: now.Add(Lifetime),
	}, err
}

// digest is what is signed in the place of a challenge.
func (r Request) digest(number string) []byte {
	said := slices.Concat(r.Content.Shown, []byte{0}, []byte(number), []byte{0}, r.Content.Challenge)
	sum := sha256.Sum256(said)
	return sum[:]
}

// Store keeps requests.
type Store interface {
	factors.CredentialStore
	// AskApproval keeps r. Open ones of its ceremony become Replaced in the
	// same transaction. factors.ErrCrowded says that MaxOpen others are open,
	// and a *factors.TooSoon that one was denied a moment ago.
	AskApproval(ctx context.Context, r Request, now time.Time) error
	// Approval reads one; ErrGone for none.
	Approval(ctx context.Context, id string) (Request, error)
	// SpendApproval makes an approved request Spent, if it still holds: of any
	// number of callers, on all nodes, one gets nil and the others ErrGone.
	SpendApproval(ctx context.Context, id string, now time.Time) error
}
