package kept

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"net/http"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
)

var (
	// ErrGone says that there is no such request, that it is over, or that
	// another browser's or site's binding asked for it: nothing was sent.
	ErrGone = errors.New("kept: request gone")
	// ErrContinued says that the request has been sent on already.
	ErrContinued = errors.New("kept: request continued already")
	// ErrOther says that somebody else is signed in by now. The request is
	// deleted.
	ErrOther = errors.New("kept: another account's request")
	// ErrTooLarge says that a request is larger than may be kept.
	ErrTooLarge = errors.New("kept: request too large")
	// ErrFull says that the store keeps as much as it may.
	ErrFull = errors.New("kept: no room for more requests")
	// ErrCut says that a request did not arrive whole.
	ErrCut = errors.New("kept: request cut short")
)

const (
	// TTL is how long a request waits for its person.
	TTL = time.Hour
	// ChunkBytes is how much of a body is written and read at a time.
	ChunkBytes = 256 << 10
	// MaxPerAccount is how many requests one account has at most; a newer one
	// takes the place of the oldest.
	MaxPerAccount = 16
	// accountTimes and totalTimes bound the bodies of one account, and of all
	// together, in multiples of the longest that is kept.
	accountTimes = 4
	totalTimes   = 100
	// maxHead bounds target and headers together, in bytes.
	maxHead = 64 << 10
)

// ID names a kept request: 128 random bits or more, as letters and digits.
type ID string

// NewID makes one.
func NewID() ID { return ID(rand.Text()) }

// Once is the name by which a proof for one request is bound to this one:
// its method, target, body and continuation.
func (id ID) Once() string { return "kept " + string(id) }

// Browser is the hash of what one browser is known by.
type Browser [sha256.Size]byte

// BrowserOf hashes a browser's binding.
func BrowserOf(binding string) Browser {
	return sha256.Sum256([]byte("kept request of " + binding))
}

// Owner is whose a request is. Account is empty for nobody, who may find one
// to sign in for it and no more.
type Owner struct {
	Account account.ID
	Browser Browser
	Site    string // origin
}

// Request is an interrupted request as it is kept. All but Owner, Size and
// the times is sealed in the store. All times are UTC.
type Request struct {
	ID ID
	Owner
	Head
	// Size is the body's, in bytes; while it is being written, what it may
	// become.
	Size      int64
	KeptAt    time.Time
	ExpiresAt time.Time
	Continued bool
}

// Head is what is kept of a request but its body.
type Head struct {
	Method string `json:"method"`
	// Target is the raw request target.
	Target string `json:"target"`
	// Header holds what the replay needs, as the browser sent it.
	Header http.Header `json:"header"`
	// Length is the body's length once it is whole.
	Length  int64   `json:"length"`
	Content Content `json:"content"`
}

// Bounds are what the store may keep.
type Bounds struct {
	AccountRequests int
	AccountBytes    int64
	TotalBytes      int64
}

// Store is what this package asks of whoever keeps requests. Each method is
// atomic; errors other than those named are technical.
type Store interface {
	// BeginKept makes room for a request of q.Size bytes and notes it as
	// being written. The account's oldest go where it would have too much;
	// ErrFull where all together would; account.ErrNotFound where the account
	// is gone or suspended.
	BeginKept(ctx context.Context, q Request, b Bounds) error
	// AddKeptChunk adds the next chunk of the body, from 0. ErrGone when the
	// request is not being written any more or seq is not the next.
	AddKeptChunk(ctx context.Context, id ID, seq int, chunk []byte) error
	// FinishKept keeps q's head and size and appends the event; ErrGone when
	// it is not being written any more.
	FinishKept(ctx context.Context, q Request, e audit.Event) error
	// KeptRequest reads a request that is whole, continued or not; ErrGone
	// where there is none or it is over at now.
	KeptRequest(ctx context.Context, id ID, now time.Time) (Request, error)
	// KeptChunk reads a chunk of the body. ErrGone where there is none.
	KeptChunk(ctx context.Context, id ID, seq int) ([]byte, error)
	// RedeemKept marks a request as continued and appends the event, once:
	// of any number of callers one gets nil, the others ErrContinued.
	// ErrGone where it is over at now.
	RedeemKept(ctx context.Context, id ID, now time.Time, e audit.Event) error
	// DropKept deletes a request. Dropping twice is no error.
	DropKept(ctx context.Context, id ID) error
	// DropKeptBody deletes the body of a continued request.
	DropKeptBody(ctx context.Context, id ID) error
}
