package legacytest

import (
	"net"
	"slices"
	"testing"
)

func TestProcessesHandOutPortsOfTheirOwn(t *testing.T) {
	var all []string
	for range 2 { // as two processes do
		b, err := takeBlock()
		if err != nil {
			t.Fatal(err)
		}
		defer b.mark.Close()
		for range blockSize - 1 {
			addr, err := b.next()
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, addr)
		}
	}
	slices.Sort(all)
	if got := len(slices.Compact(all)); got < 2*(blockSize-1)-10 {
		t.Errorf("%d different addresses of two blocks", got)
	}
}

func TestAPortInUseIsNotHandedOut(t *testing.T) {
	b, err := takeBlock()
	if err != nil {
		t.Fatal(err)
	}
	defer b.mark.Close()
	addr, err := b.next()
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for range 2 * blockSize {
		if got, err := b.next(); err != nil || got == addr {
			t.Fatalf("%s, %v", got, err)
		}
	}
}
