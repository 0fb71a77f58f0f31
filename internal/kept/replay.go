package kept

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
)

// carried are the headers that a replay needs, as the browser sent them with
// the form. Cookies are those of the replay; what else a browser sends it
// sends again.
var carried = []string{"Accept", "Accept-Language", "Content-Encoding", "Content-Language", "Content-Type", "Origin", "Referer"}

func carry(from http.Header) http.Header {
	out := http.Header{}
	for _, name := range carried {
		if values := from[name]; len(values) > 0 {
			out[name] = slices.Clone(values)
		}
	}
	return out
}

// Restore makes r the kept request: its body, read from the store as it is
// sent, and the headers that came with it. Method and target are the caller's
// to compare. The body reads until the request is deleted, also after Redeem.
func (k *Keeper) Restore(r *http.Request, q Request) {
	for _, name := range carried {
		delete(r.Header, name)
		if values := q.Header[name]; len(values) > 0 {
			r.Header[name] = slices.Clone(values)
		}
	}
	r.ContentLength = q.Length
	r.TransferEncoding, r.Trailer = nil, nil
	r.Header.Set("Content-Length", strconv.FormatInt(q.Length, 10))
	delete(r.Header, "Transfer-Encoding")
	// What an earlier handler made of the button's form.
	r.Form, r.PostForm, r.MultipartForm = nil, nil, nil
	r.Body = http.NoBody
	if q.Length > 0 {
		r.Body = &body{ctx: r.Context(), store: k.Store, id: q.ID, left: q.Length}
	}
}

// errTorn says that the chunks of a body are not as long as its head says.
var errTorn = errors.New("kept: body and head differ")

// body reads a kept body. One goroutine uses it.
type body struct {
	ctx   context.Context
	store Store
	id    ID
	seq   int
	left  int64
	chunk []byte
	err   error
}

func (b *body) Read(p []byte) (int, error) {
	if len(b.chunk) == 0 && b.err == nil {
		b.chunk, b.err = b.next()
	}
	if len(b.chunk) == 0 {
		return 0, b.err
	}
	n := copy(p, b.chunk)
	b.chunk = b.chunk[n:]
	return n, nil
}

func (b *body) next() ([]byte, error) {
	if b.left == 0 {
		return nil, io.EOF
	}
	chunk, err := b.store.KeptChunk(b.ctx, b.id, b.seq)
	switch {
	case err != nil:
		return nil, fmt.Errorf("read a kept request: %w", err)
	case len(chunk) == 0 || int64(len(chunk)) > b.left:
		return nil, errTorn
	}
	b.seq++
	b.left -= int64(len(chunk))
	return chunk, nil
}

func (b *body) Close() error {
	b.chunk, b.err = nil, http.ErrBodyReadAfterClose
	return nil
}

// Field is the only field of the form by which a browser asks for a kept
// request. Its value is the ID.
const Field = "stepgate_kept"

// idLetters is the length of an ID.
var idLetters = len(NewID())

// Named tells which kept request a request asks for: a POST whose body is
// that form, whole and with nothing else in it. Of any other request at most
// the beginning is read, and put back.
func Named(r *http.Request) (ID, bool) {
	length := len(Field) + 1 + idLetters
	if r.Method != http.MethodPost || r.Body == nil || r.ContentLength != int64(length) && r.ContentLength != -1 {
		return "", false
	}
	if kind := r.Header["Content-Type"]; len(kind) != 1 || kind[0] != "application/x-www-form-urlencoded" {
		return "", false
	}
	buf := make([]byte, length+1)
	n, err := fill(r.Body, buf)
	text := string(buf[:n])
	if err == io.EOF && n == length && text[:len(Field)+1] == Field+"=" && isID(text[len(Field)+1:]) {
		return ID(text[len(Field)+1:]), true
	}
	rest := r.Body
	r.Body = &putBack{Reader: io.MultiReader(bytes.NewReader(buf[:n]), &failing{rest, err}), Closer: rest}
	return "", false
}

func isID(text string) bool {
	for _, c := range []byte(text) {
		if (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			return false
		}
	}
	return len(text) == idLetters
}

// putBack is a body whose beginning was read ahead.
type putBack struct {
	io.Reader
	io.Closer
}

// failing goes on with an error that the reading ahead ran into.
type failing struct {
	from io.Reader
	err  error
}

func (f *failing) Read(p []byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	return f.from.Read(p)
}
