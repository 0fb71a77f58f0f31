package kept

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/stepgate/stepgate/internal/audit"
)

// Keeper keeps interrupted requests of one site and gives them back. It is
// safe for concurrent use.
type Keeper struct {
	Store Store
	// Max is the longest body that is kept, in bytes. Zero keeps none; what
	// is there already can still be sent on.
	Max int64
	Now func() time.Time
}

func (k *Keeper) bounds() Bounds {
	return Bounds{AccountRequests: MaxPerAccount, AccountBytes: accountTimes * k.Max, TotalBytes: totalTimes * k.Max}
}

// Keep reads the request's body and keeps it with what a replay needs. It is
// durable when Keep returns. ErrTooLarge and ErrFull mean that nothing is
// kept; so does every other error, which is technical or the sender's hanging
// up (ErrCut).
func (k *Keeper) Keep(r *http.Request, owner Owner, target string, e audit.Event) (Request, error) {
	now := k.Now().UTC()
	q := Request{
		ID: NewID(), Owner: owner, Head: Head{Method: r.Method, Target: target, Header: carry(r.Header)},
		Size: r.ContentLength, KeptAt: now, ExpiresAt: now.Add(TTL),
	}
	if q.Size < 0 {
		q.Size = k.Max
	}
	if q.Size > k.Max || !q.Head.fits() {
		return Request{}, ErrTooLarge
	}
	if err := k.Store.BeginKept(r.Context(), q, k.bounds()); err != nil {
		return Request{}, fmt.Errorf("begin to keep a request: %w", err)
	}
	err := k.write(r, &q)
	if err == nil {
		err = k.Store.FinishKept(r.Context(), q, e)
	}
	if err != nil {
		err = errors.Join(err, k.Store.DropKept(context.WithoutCancel(r.Context()), q.ID))
		return Request{}, fmt.Errorf("keep a request: %w", err)
	}
	return q, nil
}

func (h Head) fits() bool {
	text, err := json.Marshal(h)
	return err == nil && len(text) <= maxHead
}

// write reads the body chunk by chunk, looks at what is in it, and counts.
func (k *Keeper) write(r *http.Request, q *Request) error {
	look := lookAt(r.Header.Get("Content-Type"), r.Header.Get("Content-Encoding"))
	defer look.end()
	q.Length = 0
	buf, done := buffer(q.Size)
	defer done()
	for seq, ended := 0, r.Body == nil; !ended; {
		n, err := fill(r.Body, buf)
		q.Length += int64(n)
		switch {
		case tooLong(err) || q.Length > k.Max:
			return ErrTooLarge
		case err != nil && err != io.EOF:
			return fmt.Errorf("%w: %w", ErrCut, err)
		}
		ended = err == io.EOF
		if n == 0 {
			continue
		}
		look.begin(buf[:n])
		err = k.Store.AddKeptChunk(r.Context(), q.ID, seq, buf[:n])
		look.wait()
		if err != nil {
			return err
		}
		seq++
	}
	if r.ContentLength >= 0 && q.Length != r.ContentLength {
		return ErrCut
	}
	q.Size, q.Content = q.Length, look.end()
	return nil
}

// chunks are buffers of a chunk's length, each of one upload at a time.
var chunks = sync.Pool{New: func() any { return new([ChunkBytes]byte) }}

// buffer has room for a body of some length and the byte that would be too
// much, or for a chunk of it.
func buffer(size int64) (buf []byte, done func()) {
	if size < ChunkBytes {
		return make([]byte, size+1), func() {}
	}
	chunk := chunks.Get().(*[ChunkBytes]byte)
	return chunk[:], func() { chunks.Put(chunk) }
}

// tooLong tells whether a limit before the gateway stopped the body.
func tooLong(err error) bool {
	limit := (*http.MaxBytesError)(nil)
	return errors.As(err, &limit)
}

// fill reads until buf is full or the body ends. Unlike io.ReadFull it leaves
// the reader's own errors as they are: a body that was cut short is not one
// that ended.
func fill(from io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		var more int
		more, err = from.Read(buf[n:])
		n += more
	}
	return n, err
}

// Find returns a kept request for its owner. ErrGone, ErrContinued, and
// ErrOther, which deletes it; others are technical.
func (k *Keeper) Find(ctx context.Context, id ID, o Owner) (Request, error) {
	q, err := k.Store.KeptRequest(ctx, id, k.Now())
	switch {
	case err != nil:
		return Request{}, fmt.Errorf("find a kept request: %w", err)
	case q.Browser != o.Browser || q.Site != o.Site:
		return Request{}, ErrGone
	case o.Account != "" && q.Account != o.Account:
		if err := k.Store.DropKept(ctx, id); err != nil {
			return Request{}, fmt.Errorf("drop a kept request: %w", err)
		}
		return Request{}, ErrOther
	case q.Continued:
		return Request{}, ErrContinued
	default:
		return q, nil
	}
}

// Redeem is called when the request's levels are met and before any of it is
// sent: of any number of callers one gets nil, the others ErrContinued.
func (k *Keeper) Redeem(ctx context.Context, q Request, e audit.Event) error {
	if err := k.Store.RedeemKept(ctx, q.ID, k.Now(), e); err != nil {
		return fmt.Errorf("redeem a kept request: %w", err)
	}
	return nil
}

// Forget deletes the body of a request that was sent on. It is for when the
// answer is over; what it misses goes when the request expires.
func (k *Keeper) Forget(ctx context.Context, id ID) error { return k.Store.DropKeptBody(ctx, id) }
