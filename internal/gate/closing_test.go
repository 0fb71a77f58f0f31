package gate

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// frameOf is an unmasked frame of text.
func frameOf(payload string) []byte {
	switch n := len(payload); {
	case n < 126:
		return append([]byte{0x81, byte(n)}, payload...)
	case n < 1<<16:
		return append([]byte{0x81, 126, byte(n >> 8), byte(n)}, payload...)
	default:
		return append([]byte{0x81, 127, 0, 0, 0, 0, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}, payload...)
	}
}

func TestFramesAreFollowedInAnyPieces(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var all []byte
		ends := map[int]bool{0: true}
		for _, n := range rapid.SliceOfN(rapid.SampledFrom([]int{0, 1, 125, 126, 127, 65535, 65536}), 1, 5).Draw(t, "frames") {
			all = append(all, frameOf(strings.Repeat("x", n))...)
			ends[len(all)] = true
		}
		var f frames
		for at := 0; at < len(all); {
			n := min(rapid.IntRange(1, 70000).Draw(t, "piece"), len(all)-at)
			f.follow(all[at:at+n], false)
			if at += n; f.between() != ends[at] {
				t.Fatalf("at %d it is between frames: %t", at, f.between())
			}
		}
	})
}

func TestAWebSocketThatEndsSaysWhyBetweenTwoFrames(t *testing.T) {
	first, second := frameOf("hello"), frameOf(strings.Repeat("y", 300))
	for cut := 0; cut <= len(first); cut++ {
		client, server := net.Pipe()
		s := &socket{Conn: server}
		got := make(chan []byte)
		go func() {
			b, _ := io.ReadAll(client)
			got <- b
		}()
		s.Write(first[:cut])
		done := make(chan struct{})
		go func() {
			s.close(closeUnauthorized, "over")
			close(done)
		}()
		if cut > 0 && cut < len(first) {
			for {
				s.mu.Lock()
				set := s.ending != nil
				s.mu.Unlock()
				if set {
					break
				}
			}
			// The rest of the frame goes out, and nothing of the next.
			if n, err := s.Write(append(bytes.Clone(first[cut:]), second...)); n != len(first)-cut || err == nil {
				t.Errorf("cut at %d: wrote %d, %v", cut, n, err)
			}
		}
		<-done
		server.Close()
		want := append([]byte{0x88, 6, 0x0b, 0xb8}, "over"...)
		if cut > 0 {
			want = append(bytes.Clone(first), want...)
		}
		if all := <-got; !bytes.Equal(all, want) {
			t.Errorf("cut at %d: %q, want %q", cut, all, want)
		}
	}
}

// Who does not read what is sent does not keep a WebSocket open by it: they
// could go on sending.
func TestAWebSocketEndsForAClientThatDoesNotRead(t *testing.T) {
	t.Parallel()
	client, server := net.Pipe()
	defer client.Close()
	s := &socket{Conn: server}
	frame := frameOf("nobody reads all of this")
	sent := make(chan error)
	go func() {
		_, err := s.Write(frame)
		sent <- err
	}()
	if _, err := io.ReadFull(client, make([]byte, len(frame)/2)); err != nil {
		t.Fatal(err)
	}
	closed := make(chan struct{})
	go func() {
		s.close(closeUnauthorized, "over")
		close(closed)
	}()
	select {
	case <-closed:
	case <-time.After(30 * closeWithin):
		t.Fatal("it waits for the client")
	}
	if err := <-sent; err == nil {
		t.Error("the frame counts as sent")
	}
}
