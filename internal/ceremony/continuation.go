package ceremony

import (
	"bytes"
	"compress/flate"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/stepgate/stepgate/policy"
)

// ErrContinuation says that a continuation cannot be read: altered, another
// site's, or too old.
var ErrContinuation = errors.New("ceremony: continuation does not hold")

const (
	// ContinuationTTL is how long a page may stay open before it forgets
	// where the person was going.
	ContinuationTTL = 24 * time.Hour
	// RememberedTTL is how long it remembers the address, and nothing else.
	RememberedTTL = 30 * 24 * time.Hour
	// maxSealed bounds what a page's address may carry, in bytes. Caddy takes
	// request heads of 16 KiB, and cookies want room beside it.
	maxSealed = 11 << 10
	// packedFrom is how long one is that is compressed, maxUnpacked how long
	// one can be at all: longer heads are not taken.
	packedFrom          = 512
	maxUnpacked         = 64 << 10
	continuationPurpose = "continuation"
)

// Kind says how an interrupted request goes on.
type Kind string

// The kinds of continuation.
const (
	// Return sends the browser back to the very URL.
	Return Kind = "return"
	// Lost is a request whose body was not kept: a page says that nothing
	// was sent, and leads back to where it came from.
	Lost Kind = "lost"
	// Operate is no request of the app: it asks for a proof made for one
	// operation on the account, and leads to one of our own pages.
	Operate Kind = "operate"
	// Add adds one more credential, which the person asked for on a page of
	// ours, and leads back there: nothing of the app was interrupted.
	Add Kind = "add"
	// Kept is a request that was kept: a page names it and sends it on. ID is
	// that of the kept request, and Target only describes it.
	Kept Kind = "kept"
	// Window is a request of a script: the page says that it is done, and
	// that the window can be closed.
	Window Kind = "window"
	// TooLong is a request whose target was too long to be remembered: a page
	// says so.
	TooLong Kind = "too-long"
)

// Continuation is the memory of an interrupted request. It travels sealed in
// the address of the pages, so that two tabs have two of them and a stranger
// makes the gateway keep nothing.
type Continuation struct {
	ID   string `json:"id"`
	Kind Kind   `json:"kind"`
	// Target is the raw request target, byte for byte; for Lost the page the
	// form was on, if it is known.
	Target string `json:"target"`
	// Needs are the levels that the request needs, as bits of the policy
	// whose fingerprint is Policy. Of another policy they say nothing, and
	// the request itself is judged again.
	Needs  policy.LevelSet `json:"needs"`
	Policy string          `json:"policy"`
	// Once names the one request that a proof may open, for levels that say
	// so; Method and Target describe it to the person.
	Once   string    `json:"once,omitempty"`
	Method string    `json:"method,omitempty"`
	At     time.Time `json:"at"`
	// Operation is the id of the text that names an operation (Operate).
	Operation string `json:"operation,omitempty"`
	// Done is the id of the text that the next page opens with: what has
	// just happened.
	Done string `json:"done,omitempty"`
	// Beside is the id of a text that goes with Done.
	Beside string `json:"beside,omitempty"`
	// Why is what the policy's author says to whom the rule asks for more.
	Why string `json:"why,omitempty"`
	// Back is the page that the form of a kept request was on.
	Back string `json:"back,omitempty"`
	// Framed says that Target is to be shown around the frame that was
	// interrupted, so that a page of the site may name another instead.
	Framed bool `json:"framed,omitempty"`
}

// NewID names a continuation or a transaction.
func NewID() string { return rand.Text() }

// Sealer seals with the key ring (keys.Ring).
type Sealer interface {
	Seal(purpose string, plaintext, associated []byte) ([]byte, error)
	Open(purpose string, sealed, associated []byte) ([]byte, error)
}

// Seal makes the text for an address. A target too long to travel is
// forgotten, and its kind becomes TooLong where it was to be returned to.
func (c Continuation) Seal(s Sealer, site string) (string, error) {
	return c.SealWithin(s, site, maxSealed)
}

// SealWithin is Seal for a text of at most max bytes.
func (c Continuation) SealWithin(s Sealer, site string, max int) (string, error) {
	plain, err := c.pack()
	if err != nil {
		return "", fmt.Errorf("seal a continuation: %w", err)
	}
	sealed, err := s.Seal(continuationPurpose, plain, []byte(site))
	if err != nil {
		return "", fmt.Errorf("seal a continuation: %w", err)
	}
	text := base64.RawURLEncoding.EncodeToString(sealed)
	if len(text) <= max || c.Target == "/" && c.Back == "" {
		return text, nil
	}
	return c.WithoutTarget().SealWithin(s, site, max)
}

// WithoutTarget is a continuation whose target is too long to travel.
func (c Continuation) WithoutTarget() Continuation {
	c.Target, c.Back = "/", ""
	if c.Kind == Return {
		c.Kind = TooLong
	}
	return c
}

// pack writes a continuation as JSON, and a long one, which its target makes
// long, compressed. Nothing in it is a secret that the length could tell.
func (c Continuation) pack() ([]byte, error) {
	plain, err := json.Marshal(c)
	if err != nil || len(plain) < packedFrom {
		return plain, err
	}
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, flate.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err = w.Write(plain); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return packed.Bytes(), nil
}

// unpack undoes pack.
func (c *Continuation) unpack(plain []byte) error {
	if len(plain) > 0 && plain[0] == '{' {
		return json.Unmarshal(plain, c)
	}
	return json.NewDecoder(io.LimitReader(flate.NewReader(bytes.NewReader(plain)), maxUnpacked)).Decode(c)
}

// OpenContinuation reads what Seal made for the same site. All errors are
// ErrContinuation.
func OpenContinuation(s Sealer, site, text string, now time.Time) (Continuation, error) {
	var c Continuation
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return c, ErrContinuation
	}
	plain, err := s.Open(continuationPurpose, sealed, []byte(site))
	if err != nil || c.unpack(plain) != nil {
		return Continuation{}, ErrContinuation
	}
	switch age := now.Sub(c.At); {
	case age <= ContinuationTTL:
		return c, nil
	case age <= RememberedTTL && c.Kind == Return:
		// A tab that a browser has restored: it still leads to where it was,
		// and what that needs is asked anew.
		return Continuation{ID: c.ID, Kind: Return, Target: c.Target, At: now.UTC()}, nil
	default:
		return Continuation{}, ErrContinuation
	}
}
