package gate

import (
	"encoding/binary"
	"net"
	"sync"
	"time"
)

// Why the gateway ends a WebSocket, as codes of the IANA registry (RFC 6455
// §11.7) that scripts can read.
const (
	closeUnauthorized = 3000 // the session has ended
	closeForbidden    = 3003 // a level of the path has run out
)

// closeWithin is how long a WebSocket that is to end may take for the frame
// that it is sending, and for saying why: with the tick of its supervision well
// within the five seconds of the contract's section 6.
const closeWithin = 1500 * time.Millisecond

// socket is the client's side of a WebSocket. It follows what the upstream
// sends, so that the gateway can say why it ends it: a frame of its own may
// stand between two others only.
type socket struct {
	net.Conn

	mu     sync.Mutex
	ended  bool
	ending []byte // the close frame, once there is one to be sent
	frame  frames
}

// Write passes on what the upstream sends, up to the end of a frame where the
// WebSocket is to end.
func (s *socket) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return 0, errEnded
	}
	if s.ending == nil {
		s.frame.follow(p, false)
		return s.Conn.Write(p)
	}
	n := s.frame.follow(p, true)
	if _, err := s.Conn.Write(p[:n]); err != nil {
		return 0, err
	}
	if s.frame.between() {
		s.sayClose()
		return n, errEnded
	}
	return n, nil
}

// close ends the WebSocket with a code and words, as soon as a frame has
// ended, or soon. A client that does not read is not waited for: it may hold up
// the frame that is being sent, and s.mu with it.
func (s *socket) close(code uint16, why string) {
	deadline := time.Now().Add(closeWithin)
	_ = s.Conn.SetWriteDeadline(deadline)
	s.mu.Lock()
	s.ending = append([]byte{0x88, byte(2 + len(why))}, binary.BigEndian.AppendUint16(nil, code)...)
	s.ending = append(s.ending, why...)
	if s.frame.between() {
		s.sayClose()
	}
	s.mu.Unlock()
	for !s.hasEnded() && time.Now().Before(deadline) {
		time.Sleep(20 * time.Millisecond)
	}
}

func (s *socket) hasEnded() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended
}

func (s *socket) sayClose() {
	if s.ended {
		return
	}
	s.ended = true
	_, _ = s.Conn.Write(s.ending)
}

// frames finds where frames begin in a stream of them (RFC 6455 §5.2).
type frames struct {
	head [14]byte
	n    int    // of head that came
	left uint64 // of the payload that is still to come
}

// between tells whether a frame has ended and no other has begun.
func (f *frames) between() bool { return f.n == 0 && f.left == 0 }

// follow reads what is sent, and where only one frame is wanted stops at its
// end. It tells how much it has read.
func (f *frames) follow(p []byte, one bool) int {
	read := 0
	for read < len(p) {
		if f.left > 0 {
			skip := min(f.left, uint64(len(p)-read))
			f.left -= skip
			read += int(skip)
		} else {
			f.head[f.n] = p[read]
			f.n++
			read++
			if f.n >= 2 && f.n == f.headSize() {
				f.left, f.n = f.payload(), 0
			}
		}
		if one && f.between() {
			return read
		}
	}
	return read
}

func (f *frames) headSize() int {
	size := 2
	switch f.head[1] & 0x7f {
	case 126:
		size += 2
	case 127:
		size += 8
	}
	if f.head[1]&0x80 != 0 {
		size += 4
	}
	return size
}

func (f *frames) payload() uint64 {
	switch short := f.head[1] & 0x7f; short {
	case 126:
		return uint64(binary.BigEndian.Uint16(f.head[2:]))
	case 127:
		return binary.BigEndian.Uint64(f.head[2:])
	default:
		return uint64(short)
	}
}
