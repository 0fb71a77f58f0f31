package accesslog

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// Log is one access log. Its format is found out line by line, and whether it
// is compressed by its first bytes.
type Log struct {
	Name   string
	Reader io.Reader
}

// Block is some lines of a log, whole ones.
type Block struct {
	Text string
	// Cut counts lines that were too long to be kept: none is a request that
	// a server would take. Began is the beginning of one.
	Cut   int64
	Began string

	columns *columns
}

// BlockBytes is how large a block is at most, and how long a line.
const BlockBytes = 1 << 20

// byteOrder is the mark that programs of Windows put in front of UTF-8.
const byteOrder = "\xEF\xBB\xBF"

// beganBytes is how much is kept of a line that is longer.
const beganBytes = 100

// Blocks cuts logs into blocks of whole lines, in their order, until send
// says no. What was read before an error counts: a log that is still being
// written may end in the middle of its compression. The error names each log
// that could not be read to its end.
func Blocks(ctx context.Context, logs []Log, send func(*Block) bool) error {
	var errs []error
	for _, log := range logs {
		if err := log.blocks(send); err != nil && ctx.Err() == nil {
			errs = append(errs, fmt.Errorf("read %s: %w", log.Name, err))
		}
	}
	return errors.Join(errs...)
}

func (l Log) blocks(send func(*Block) bool) error {
	unpacked, err := plain(l.Reader)
	if err != nil {
		return err
	}
	in := bufio.NewReaderSize(unpacked, BlockBytes)
	if begin, _ := in.Peek(len(byteOrder)); string(begin) == byteOrder {
		in.Discard(len(byteOrder))
	}
	skipping := false // in a line that was too long
	var heading *columns
	for {
		// Peek leaves the reader's error as it is: a compression that breaks
		// off is not the end of a log.
		there, err := in.Peek(BlockBytes)
		text, ended := there, err != nil
		b := &Block{columns: heading}
		if skipping {
			at := bytes.IndexByte(text, '\n') + 1
			if skipping = at == 0; skipping {
				at = len(text)
			}
			text = text[at:]
		}
		end := bytes.LastIndexByte(text, '\n') + 1
		switch {
		case ended:
			end = len(text)
		case end == 0 && !skipping:
			skipping, b.Cut, b.Began, text = true, 1, string(text[:beganBytes]), nil
		}
		b.Text = string(text[:end])
		if c := lastHeading(text[:end]); c != nil {
			heading = c
		}
		in.Discard(len(there) - len(text[end:]))
		if (b.Text != "" || b.Cut > 0) && !send(b) {
			return nil
		}
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}

// lastHeading is the last line of a block that names columns; nil for none.
func lastHeading(text []byte) *columns {
	if !bytes.Contains(text, []byte(fieldsHeading)) { // much faster than to search from the end
		return nil
	}
	at := bytes.LastIndex(text, []byte(fieldsHeading))
	if at > 0 && text[at-1] != '\n' {
		return nil
	}
	line, _, _ := bytes.Cut(text[at:], []byte{'\n'})
	return columnsOf(string(bytes.TrimRight(line, "\r")))
}

// compression is one way in which logs are packed, by their first bytes.
type compression struct {
	magic string
	open  func(io.Reader) (io.Reader, error)
}

func compressions() []compression {
	return []compression{
		{"\x1f\x8b", func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }},
		{"BZh", func(r io.Reader) (io.Reader, error) { return bzip2.NewReader(r), nil }},
		{"\x28\xb5\x2f\xfd", func(r io.Reader) (io.Reader, error) { return zstd.NewReader(r, zstd.WithDecoderConcurrency(1)) }},
		{"\xfd7zXZ\x00", func(r io.Reader) (io.Reader, error) { return xz.NewReader(r) }},
	}
}

// plain undoes compression, where there is some.
func plain(r io.Reader) (io.Reader, error) {
	buffered := bufio.NewReaderSize(r, BlockBytes)
	for _, c := range compressions() {
		begin, err := buffered.Peek(len(c.magic))
		if err != nil && err != io.EOF {
			return nil, err
		}
		if string(begin) == c.magic {
			return c.open(buffered)
		}
	}
	return buffered, nil
}
