//go:build cgo && amd64

package password

/*
#cgo CFLAGS: -O3
#include "fill.h"
*/
import "C"

import (
	"bytes"
	"encoding/binary"
	"sync"
	"unsafe"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/blake2b"
)

// x/crypto takes the memory of each hash anew: the system has to find and clear
// 19 MiB, and the collector to look for them, which is a third of the cost of
// a sign-in. Here the memory is used again and the passes over it are done by
// wider instructions; the function is the same, and x/crypto's is used where it
// is not, or the processor has no such instructions.

// own tells whether the passes can be done here.
var own = sync.OnceValue(func() bool {
	if C.fill_supported() == 0 {
		return false
	}
	c := Cost{MemoryKiB: 64, Passes: 2, Lanes: 1}
	password, salt := []byte("a pass phrase"), []byte("sixteen bytes of")
	return bytes.Equal(c.fill(password, salt, tagBytes), argon2.IDKey(password, salt, c.Passes, c.MemoryKiB, c.Lanes, tagBytes))
})

// derive is argon2id (RFC 9106) of a password in NFC.
func (c Cost) derive(password, salt []byte, length int) []byte {
	if c.Lanes == 1 && own() {
		return c.fill(password, salt, length)
	}
	return argon2.IDKey(password, salt, c.Passes, c.MemoryKiB, c.Lanes, uint32(length))
}

type block [128]uint64

// memories are what hashes have used, until the collector has found them idle
// twice.
var memories sync.Pool

func memory(blocks int) *[]block {
	if m, ok := memories.Get().(*[]block); ok && cap(*m) >= blocks {
		*m = (*m)[:blocks]
		return m
	}
	m := make([]block, blocks)
	return &m
}

// fill is argon2id with one lane.
func (c Cost) fill(password, salt []byte, length int) []byte {
	blocks := memory(int(c.MemoryKiB / 4 * 4))
	defer memories.Put(blocks)
	b := *blocks
	seed := c.seed(password, salt, length)
	for i := range 2 {
		first := long(1024, append(seed, byte(i), 0, 0, 0, 0, 0, 0, 0))
		for j := range b[i] {
			b[i][j] = binary.LittleEndian.Uint64(first[8*j:])
		}
	}
	C.fill((*C.uint64_t)(unsafe.Pointer(&b[0][0])), C.uint32_t(len(b)), C.uint32_t(c.Passes))
	last := make([]byte, 0, 1024)
	for _, word := range b[len(b)-1] {
		last = binary.LittleEndian.AppendUint64(last, word)
	}
	return long(length, last)
}

// seed is H0 (RFC 9106 §3.2, step 1), without a secret and associated data.
func (c Cost) seed(password, salt []byte, length int) []byte {
	const version, argon2id = 0x13, 2
	var in []byte
	for _, n := range []uint32{uint32(c.Lanes), uint32(length), c.MemoryKiB, c.Passes, version, argon2id, uint32(len(password))} {
		in = binary.LittleEndian.AppendUint32(in, n)
	}
	in = append(in, password...)
	in = binary.LittleEndian.AppendUint32(in, uint32(len(salt)))
	in = append(append(in, salt...), make([]byte, 8)...)
	sum := blake2b.Sum512(in)
	return sum[:len(sum):len(sum)]
}

// long is the hash of any length, H' (RFC 9106 §3.3).
func long(length int, in []byte) []byte {
	in = append(binary.LittleEndian.AppendUint32(nil, uint32(length)), in...)
	if length <= blake2b.Size {
		return short(length, in)
	}
	var out []byte
	v := blake2b.Sum512(in)
	for length-len(out) > blake2b.Size {
		out = append(out, v[:32]...)
		if left := length - len(out); left <= blake2b.Size {
			return append(out, short(left, v[:])...)
		}
		v = blake2b.Sum512(v[:])
	}
	return out
}

func short(length int, in []byte) []byte {
	h, err := blake2b.New(length, nil)
	if err != nil { // only for lengths that are none, and keys
		panic(err)
	}
	h.Write(in)
	return h.Sum(nil)
}
