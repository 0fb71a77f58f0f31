package legacytest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"testing"
)

// What FreeAddr hands out lies below the numbers that Linux chooses by itself
// (ip_local_port_range), so that no other socket of a test gets one meanwhile.
const (
	firstPort  = 20_000
	blockSize  = 250
	blockCount = 48
)

// block is a range of ports that one process has to itself, among all that
// take theirs here: it listens on the first for as long as it lives.
type block struct {
	mark net.Listener
	base int

	mu   sync.Mutex
	used int // the last number that was handed out, from the base
}

var errNoPorts = errors.New("no free port")

// takeBlock finds a block that nobody has. Processes begin their search at
// different ones.
func takeBlock() (*block, error) {
	for i := range blockCount {
		base := firstPort + (os.Getpid()+i)%blockCount*blockSize
		if mark, err := net.Listen("tcp", loopback(base)); err == nil {
			return &block{mark: mark, base: base}, nil
		}
	}
	return nil, errNoPorts
}

// next is an address on which nothing listens. The numbers come in turn: one is
// handed out again after all the others.
func (b *block) next() (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for range blockSize - 1 {
		b.used = b.used%(blockSize-1) + 1
		addr := loopback(b.base + b.used)
		if l, err := net.Listen("tcp", addr); err == nil {
			return addr, l.Close()
		}
	}
	return "", errNoPorts
}

func loopback(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

var ownBlock = sync.OnceValues(takeBlock)

// FreeAddr returns an address of 127.0.0.1 on which nothing listens. Tests that
// run at the same time, in this process or another, get others.
func FreeAddr(tb testing.TB) string {
	tb.Helper()
	b, err := ownBlock()
	if err != nil {
		tb.Fatalf("legacytest: %v", err)
	}
	addr, err := b.next()
	if err != nil {
		tb.Fatalf("legacytest: %v", err)
	}
	return addr
}
