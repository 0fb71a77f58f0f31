package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// fileSink appends lines to a file.
type fileSink struct{ f *os.File }

// OpenFile is a Sink of JSON lines in a file, which is made for its owner alone.
// What is sent has arrived when it is on the disk.
func OpenFile(path string) (Sink, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	return &fileSink{f}, nil
}

func (s *fileSink) Send(_ context.Context, records []Record) (int64, error) {
	if len(records) == 0 {
		return 0, nil
	}
	// A file that was moved away is opened anew.
	was, err := s.f.Stat()
	if err != nil {
		return 0, err
	}
	if is, err := os.Stat(s.f.Name()); err != nil || !os.SameFile(was, is) {
		return 0, errors.Join(err, errors.New("the file was moved away"))
	}
	var b bytes.Buffer
	for _, r := range records {
		b.Write(r.Line())
		b.WriteByte('\n')
	}
	if _, err := s.f.Write(b.Bytes()); err != nil {
		return 0, err
	}
	return records[len(records)-1].Seq, s.f.Sync()
}

func (s *fileSink) Close() error { return s.f.Close() }

// streamSettle is how long a connection has to hold after something was written
// to it before that counts as arrived: TCP does not say.
const streamSettle = 3 * time.Second

// streamSink writes to a connection, of which nothing is heard but its end.
type streamSink struct {
	conn   net.Conn
	frame  func(Record) []byte
	now    func() time.Time
	broken atomic.Pointer[error]
	// under way are what was written, oldest first.
	underWay []written
	arrived  int64
}

type written struct {
	seq int64
	at  time.Time
}

// NewStream is a Sink over a connection; frame writes one record.
func NewStream(conn net.Conn, now func() time.Time, frame func(Record) []byte) Sink {
	s := &streamSink{conn: conn, frame: frame, now: now}
	go func() {
		_, err := io.Copy(io.Discard, conn)
		if err == nil {
			err = io.EOF
		}
		s.broken.Store(&err)
	}()
	return s
}

// SyslogFrame counts octets (RFC 6587 §3.4.1, RFC 5425 §4.3).
func SyslogFrame(hostname string) func(Record) []byte {
	return func(r Record) []byte {
		message := r.Syslog(hostname)
		return append(fmt.Appendf(nil, "%d ", len(message)), message...)
	}
}

// LineFrame is one JSON object a line.
func LineFrame(r Record) []byte { return append(r.Line(), '\n') }

func (s *streamSink) Send(_ context.Context, records []Record) (int64, error) {
	if broken := s.broken.Load(); broken != nil {
		return s.arrived, fmt.Errorf("the receiver has closed the connection: %w", *broken)
	}
	now := s.now()
	for len(s.underWay) > 0 && now.Sub(s.underWay[0].at) >= streamSettle {
		s.arrived, s.underWay = s.underWay[0].seq, s.underWay[1:]
	}
	if len(records) == 0 {
		return s.arrived, nil
	}
	var b bytes.Buffer
	for _, r := range records {
		b.Write(s.frame(r))
	}
	if err := s.conn.SetWriteDeadline(now.Add(10 * time.Second)); err != nil {
		return s.arrived, err
	}
	if _, err := s.conn.Write(b.Bytes()); err != nil {
		return s.arrived, err
	}
	s.underWay = append(s.underWay, written{records[len(records)-1].Seq, now})
	return s.arrived, nil
}

func (s *streamSink) Close() error { return s.conn.Close() }
