package gate

import (
	"net/http"
	"runtime"
	"sync"
	"testing"
)

// oneAtATime counts what is written, wrongly where two write at once.
type oneAtATime struct {
	http.ResponseWriter
	writes int
}

func (w *oneAtATime) Write(p []byte) (int, error) {
	before := w.writes
	runtime.Gosched()
	w.writes = before + 1
	return len(p), nil
}

func (w *oneAtATime) FlushError() error { return nil }

// TestAStreamBearsTwoWriters is a proxy that says goodbye while it copies.
func TestAStreamBearsTwoWriters(t *testing.T) {
	under := new(oneAtATime)
	conn := &streamConn{w: under, ResponseController: http.NewResponseController(under)}
	const each = 1000
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			for range each {
				if _, err := conn.Write([]byte("x")); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	both.Wait()
	if under.writes != 2*each {
		t.Errorf("%d writes are left of %d", under.writes, 2*each)
	}
}
