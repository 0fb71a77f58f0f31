package password

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/text/unicode/norm"

	"github.com/stepgate/stepgate/internal/account"
)

// ErrBusy says that too many hashes are being computed already. Nobody's
// password was compared; the page answers 503, and says when to come back.
var ErrBusy error = busy{}

type busy struct{}

func (busy) Error() string { return "password: too many at once" }

// ComeBack is how long the queue at its usual length takes, and a little more.
func (busy) ComeBack() time.Duration { return 2 * time.Second }

// Options of a Hasher; the zero value is what a gateway runs with.
type Options struct {
	// Cost of new hashes. Zero: DefaultCost.
	Cost Cost
	// Workers is how many hashes are computed at once; each takes Cost's
	// memory. 0: GOMAXPROCS.
	Workers int
	// Queue is how many callers may wait for a worker. 0: 32 for each.
	Queue int
}

// Hasher hashes and compares passwords, a bounded number at once: a flood of
// sign-ins takes Workers times the memory of one hash and no more, whoever
// sends it. It is safe for concurrent use.
type Hasher struct {
	cost    Cost
	waiting chan struct{}
	working chan struct{}
	// stranger stands in for the hash of an account that has none.
	stranger hashed
}

// NewHasher refuses a cost outside of what it would read back.
func NewHasher(o Options) (*Hasher, error) {
	if o.Cost == (Cost{}) {
		o.Cost = DefaultCost
	}
	if !o.Cost.usable() {
		return nil, fmt.Errorf("password: cost out of bounds: %+v", o.Cost)
	}
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if o.Queue <= 0 {
		o.Queue = 32 * o.Workers
	}
	return &Hasher{
		cost:     o.Cost,
		waiting:  make(chan struct{}, o.Workers+o.Queue),
		working:  make(chan struct{}, o.Workers),
		stranger: hashed{cost: o.Cost, salt: random(saltBytes), tag: random(tagBytes)},
	}, nil
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

// Hash returns the PHC string to be stored for a password that Rules accept.
func (h *Hasher) Hash(ctx context.Context, password account.Secret) (string, error) {
	made := hashed{cost: h.cost, salt: random(saltBytes)}
	err := h.compute(ctx, func() { made.tag = made.cost.derive(canonical(password), made.salt, tagBytes) })
	if err != nil {
		return "", err
	}
	return made.String(), nil
}

// Verify compares a password with a stored PHC string, in constant time. The
// errors are ErrBusy, ErrMalformed and the context's.
func (h *Hasher) Verify(ctx context.Context, phc string, password account.Secret) (bool, error) {
	stored, err := parse(phc)
	if err != nil {
		return false, err
	}
	return h.matches(ctx, stored, password)
}

// VerifyNobody takes the time of Verify and never matches. It is for names
// without an account and accounts without a password.
func (h *Hasher) VerifyNobody(ctx context.Context, password account.Secret) error {
	_, err := h.matches(ctx, h.stranger, password)
	return err
}

func (h *Hasher) matches(ctx context.Context, stored hashed, password account.Secret) (bool, error) {
	same := false
	err := h.compute(ctx, func() {
		tag := stored.cost.derive(canonical(password), stored.salt, len(stored.tag))
		same = subtle.ConstantTimeCompare(tag, stored.tag) == 1
	})
	return same, err
}

// NeedsRehash tells whether a stored hash was made at less than the present
// cost, so that a password just verified should be hashed anew.
func (h *Hasher) NeedsRehash(phc string) bool {
	stored, err := parse(phc)
	return err == nil && (stored.cost.MemoryKiB < h.cost.MemoryKiB || stored.cost.Passes < h.cost.Passes ||
		len(stored.salt) < saltBytes || len(stored.tag) < tagBytes)
}

// compute runs one hash when its turn comes. x/crypto takes the memory of
// each hash anew, so the number at once is the bound.
func (h *Hasher) compute(ctx context.Context, hash func()) error {
	select {
	case h.waiting <- struct{}{}:
		defer func() { <-h.waiting }()
	default:
		return ErrBusy
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("wait for a password hash: %w", err)
	}
	select {
	case h.working <- struct{}{}:
		defer func() { <-h.working }()
	case <-ctx.Done():
		return fmt.Errorf("wait for a password hash: %w", ctx.Err())
	}
	hash()
	return nil
}

// canonical is the form that is hashed (SP 800-63B-4 §3.1.1.2: NFC, nothing else).
func canonical(password account.Secret) []byte { return norm.NFC.Bytes(password.Reveal()) }
