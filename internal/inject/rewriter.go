package inject

import (
	"bytes"
	"encoding/binary"
	"io"
	"sync"
)

// order is how a document's code units are written.
type order int

const (
	octets order = iota // one byte each: every charset of the web but UTF-16
	utf16LE
	utf16BE
)

// rewriter passes a document on and adds a tag to it at one place, if there
// is such a place. What it holds back meanwhile is a byte-order mark or the
// name of a tag that has only begun.
type rewriter struct {
	w    io.Writer
	tag  string // ASCII
	scan scanner
	as   order

	begun   bool // the byte-order mark was looked for
	decided bool
	added   int    // bytes
	held    []byte // came already, and has not gone out
	read    int    // how many bytes of held the scanner has seen
}

// newRewriter makes one for a document whose header names its order of bytes.
// A byte-order mark in the document says otherwise.
func newRewriter(w io.Writer, tag string, as order, xml bool) *rewriter {
	return &rewriter{w: w, tag: tag, as: as, scan: scanner{xml: xml}}
}

func (r *rewriter) Write(p []byte) (int, error) {
	if r.decided {
		return r.w.Write(p)
	}
	if err := r.pass(p); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (r *rewriter) pass(p []byte) error {
	all := p
	if len(r.held) > 0 {
		all = append(r.held, p...)
	}
	at := r.read
	if !r.begun {
		size, known := r.mark(all)
		if !known {
			r.held = append(r.held[:0:0], all...)
			return nil
		}
		r.begun, at = true, size
	}
	from := at // where the tag at hand begins
	if r.scan.undecided() {
		from = 0 // held back from its "<" on
	}
	for width := r.width(); at+width <= len(all); at += width {
		if !r.scan.undecided() {
			from = at
		}
		switch r.scan.step(r.unit(all[at:])) {
		case after:
			return r.insert(all, at+width)
		case before:
			return r.insert(all, from)
		case never:
			r.decide()
			return r.send(all)
		}
	}
	if !r.scan.undecided() {
		from = at
	}
	kept := append([]byte(nil), all[from:]...)
	r.read = at - from
	r.held = kept
	return r.send(all[:from])
}

// mark looks for a byte-order mark, which says more than any header
// (Encoding §6), and tells how long it is. It is not known before there are
// enough bytes to tell.
func (r *rewriter) mark(all []byte) (size int, known bool) {
	for _, m := range []struct {
		bytes string
		as    order
	}{{"\xef\xbb\xbf", octets}, {"\xff\xfe", utf16LE}, {"\xfe\xff", utf16BE}} {
		switch {
		case bytes.HasPrefix(all, []byte(m.bytes)):
			r.as = m.as
			return len(m.bytes), true
		case len(all) < len(m.bytes) && string(all) == m.bytes[:len(all)]:
			return 0, false
		}
	}
	return 0, true
}

func (r *rewriter) width() int {
	if r.as == octets {
		return 1
	}
	return 2
}

func (r *rewriter) unit(b []byte) uint16 {
	switch r.as {
	case utf16LE:
		return binary.LittleEndian.Uint16(b)
	case utf16BE:
		return binary.BigEndian.Uint16(b)
	default:
		return uint16(b[0])
	}
}

// insert sends everything with the tag in it.
func (r *rewriter) insert(all []byte, at int) error {
	r.decide()
	tag := r.encoded()
	r.added = len(tag)
	joined := buffers.Get().(*[]byte)
	defer buffers.Put(joined)
	*joined = append(append(append((*joined)[:0], all[:at]...), tag...), all[at:]...)
	return r.send(*joined)
}

// buffers are used again: one is as long as what is written at once.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// encoded is the tag in the document's own code units.
func (r *rewriter) encoded() []byte {
	if r.as == octets {
		return []byte(r.tag)
	}
	out := make([]byte, 0, 2*len(r.tag))
	for i := range len(r.tag) {
		if r.as == utf16LE {
			out = append(out, r.tag[i], 0)
		} else {
			out = append(out, 0, r.tag[i])
		}
	}
	return out
}

func (r *rewriter) decide() {
	r.decided, r.held = true, nil
}

func (r *rewriter) send(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	_, err := r.w.Write(b)
	return err
}

// Close sends what was held back of a document that ended in it.
func (r *rewriter) Close() error {
	held := r.held
	r.decide()
	return r.send(held)
}
