package legacytest

import (
	"net"
	"sync"
	"testing"
)

// Wire is a connection between two machines that can be cut: while it is,
// nothing arrives at either end, and neither is told.
type Wire struct {
	Addr string // HOST:PORT

	mu   sync.Mutex
	open chan struct{} // closed while bytes may pass
	conn map[net.Conn]bool
}

// StartWire passes on what comes to the server at addr, until the test ends.
func StartWire(tb testing.TB, addr string) *Wire {
	tb.Helper()
	return startWire(tb, "127.0.0.1", addr)
}

// startWire takes connections at an address of ours.
func startWire(tb testing.TB, at, addr string) *Wire {
	tb.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(at, "0"))
	if err != nil {
		tb.Fatalf("legacytest: wire: %v", err)
	}
	w := &Wire{Addr: l.Addr().String(), open: make(chan struct{}), conn: map[net.Conn]bool{}}
	close(w.open)
	var passing sync.WaitGroup
	passing.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			passing.Go(func() { w.pass(near, addr) })
		}
	})
	tb.Cleanup(func() {
		l.Close()
		w.Join()
		w.mu.Lock()
		for c := range w.conn {
			c.Close()
		}
		w.mu.Unlock()
		passing.Wait()
	})
	return w
}

// Cut lets nothing pass any more, in connections that there are and in new
// ones, which are taken all the same.
func (w *Wire) Cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open = make(chan struct{})
}

// Join lets all pass again. What was sent meanwhile arrives.
func (w *Wire) Join() {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case <-w.open:
	default:
		close(w.open)
	}
}

func (w *Wire) wait() {
	w.mu.Lock()
	open := w.open
	w.mu.Unlock()
	<-open
}

func (w *Wire) keep(c net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conn[c] = true
}

func (w *Wire) drop(c net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.conn, c)
	c.Close()
}

func (w *Wire) pass(near net.Conn, addr string) {
	w.keep(near)
	defer w.drop(near)
	w.wait()
	far, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	w.keep(far)
	defer w.drop(far)
	var both sync.WaitGroup
	copyTo := func(to, from net.Conn) {
		defer to.Close()
		buf := make([]byte, 32<<10)
		for {
			n, err := from.Read(buf)
			w.wait()
			if n > 0 {
				if _, err := to.Write(buf[:n]); err != nil {
					return
				}
			}
			if err != nil {
				return
			}
		}
	}
	both.Go(func() { copyTo(far, near) })
	both.Go(func() { copyTo(near, far) })
	both.Wait()
}
