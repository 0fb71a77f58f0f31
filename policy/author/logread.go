package author

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

// block is some lines of a log, whole ones, and what became of them.
type block struct {
	text string
	// cut counts lines that were too long to be kept.
	cut    int64
	lines  int64
	visits []visit
	done   chan struct{}
}

const blockBytes = 1 << 20

// readBlocks cuts logs into blocks of whole lines, until send says no.
func readBlocks(ctx context.Context, logs []Log, send func(*block) bool) error {
	var errs []error
	for _, log := range logs {
		if err := log.blocks(send); err != nil && ctx.Err() == nil {
			errs = append(errs, fmt.Errorf("read %s: %w", log.Name, err))
		}
	}
	return errors.Join(errs...)
}

// blocks reads one log. What was read before an error counts: a log that is
// still being written may end in the middle of its compression.
func (l Log) blocks(send func(*block) bool) error {
	in, err := plain(l.Reader)
	if err != nil {
		return err
	}
	buffer, kept := make([]byte, blockBytes), 0
	skipping := false // in a line that was too long
	for {
		n, err := fill(in, buffer[kept:])
		text := buffer[:kept+n]
		ended := err != nil
		b := &block{done: make(chan struct{})}
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
			skipping, b.cut, text = true, 1, nil
		}
		b.text = string(text[:end])
		kept = copy(buffer, text[end:])
		if (b.text != "" || b.cut > 0) && !send(b) {
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

// broken adds the lines that were too long.
func (b *block) broken(to *int64) {
	b.lines += b.cut
	*to += b.cut
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
	buffered := bufio.NewReaderSize(r, blockBytes)
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

// fill reads until the buffer is full or there is no more. Unlike
// io.ReadFull it leaves the reader's error as it is: a compression that
// breaks off is not the end of a log.
func fill(in io.Reader, buffer []byte) (n int, err error) {
	for n < len(buffer) && err == nil {
		var more int
		more, err = in.Read(buffer[n:])
		n += more
	}
	return n, err
}
