package inject

import (
	"errors"
	"io"
	"iter"
	"sync"

	"github.com/klauspost/compress/gzip"
)

// Body passes one body on. It is for one goroutine at a time.
type Body interface {
	io.Writer
	// Flush sends on what a reader could make something of by now.
	Flush() error
	// Close ends the body; it does not end what it is written to.
	Close() error
}

// body is what Prepare found out about one.
type body struct {
	tag     string
	xml     bool
	as      order
	gzipped bool
	length  int64     // that the application has said; -1 where it is not to be told
	to      *rewriter // of a body that is not packed, once it has begun
}

func (b *body) open(w io.Writer) Body {
	if !b.gzipped {
		b.to = newRewriter(w, b.tag, b.as, b.xml)
		return plain{b.to}
	}
	return b.recode(w)
}

type plain struct{ *rewriter }

func (plain) Flush() error { return nil }

// recoded unpacks a body, adds the script and packs it again. The unpacking
// waits for more in the middle of its work, so it runs as a coroutine: never
// at the same time as whoever writes.
type recoded struct {
	in   []byte // written, and not yet read
	end  bool   // nothing more is written
	next func() (struct{}, bool)
	stop func()
	out  *gzip.Writer
	done bool
	err  error
}

// unpackers and packers are used again: one has tables of many kilobytes.
var unpackers = sync.Pool{New: func() any { return new(gzip.Reader) }}

var packers = sync.Pool{New: func() any {
	w, err := gzip.NewWriterLevel(nil, gzip.BestSpeed)
	if err != nil {
		panic(err) // the level is a constant
	}
	return w
}}

func (b *body) recode(w io.Writer) *recoded {
	r := &recoded{out: packers.Get().(*gzip.Writer)}
	r.out.Reset(w)
	to := newRewriter(r.out, b.tag, b.as, b.xml)
	r.next, r.stop = iter.Pull(func(wait func(struct{}) bool) {
		from := unpackers.Get().(*gzip.Reader)
		defer unpackers.Put(from)
		err := from.Reset(&awaited{r, wait})
		if err == nil {
			from.Multistream(false) // browsers read the first member only
			_, err = io.Copy(to, from)
		}
		if err == nil {
			err = to.Close()
		}
		r.done, r.err = true, err
	})
	return r
}

// awaited reads what is written, and waits where there is nothing.
type awaited struct {
	*recoded
	wait func(struct{}) bool
}

func (a *awaited) Read(p []byte) (int, error) {
	for len(a.in) == 0 {
		if a.end || !a.wait(struct{}{}) {
			return 0, io.ErrUnexpectedEOF
		}
	}
	n := copy(p, a.in)
	a.in = a.in[n:]
	return n, nil
}

// ReadByte keeps the unpacking from reading ahead of what it needs.
func (a *awaited) ReadByte() (byte, error) {
	var one [1]byte
	_, err := a.Read(one[:])
	return one[0], err
}

func (r *recoded) Write(p []byte) (int, error) {
	r.in = p
	if !r.done {
		r.next()
	}
	r.in = nil // p is the caller's again
	if r.err != nil {
		return 0, r.err
	}
	return len(p), nil
}

func (r *recoded) Flush() error { return r.out.Flush() }

func (r *recoded) Close() error {
	if r.out == nil {
		return nil
	}
	r.end = true
	if !r.done {
		r.next()
	}
	r.stop()
	err := r.err
	if err == nil {
		err = r.out.Close()
	}
	r.out.Reset(nil)
	packers.Put(r.out)
	r.out = nil
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
