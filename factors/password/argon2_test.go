package password

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/crypto/argon2"
)

// TestDeriveIsArgon2id: a hash that was made anywhere else is compared right.
func TestDeriveIsArgon2id(t *testing.T) {
	for _, c := range []Cost{
		{8, 1, 1}, {8, 3, 1}, {9, 2, 1}, {64, 1, 1}, {64, 2, 1}, {67, 4, 1}, {600, 2, 1}, {1023, 3, 1}, {2048, 1, 1}, {4100, 2, 1}, {64, 2, 2}, DefaultCost,
	} {
		for _, length := range []int{16, 32, 63, 64} {
			for _, password := range []string{"", "a", strings.Repeat("long ", 100)} {
				salt := []byte(fmt.Sprintf("%16d", length))
				got := c.derive([]byte(password), salt, length)
				want := argon2.IDKey([]byte(password), salt, c.Passes, c.MemoryKiB, c.Lanes, uint32(length))
				if !bytes.Equal(got, want) {
					t.Errorf("%+v of %q, %d bytes: %x, want %x", c, password, length, got, want)
				}
			}
		}
	}
}

// BenchmarkDerive is one hash at the default cost, here and by x/crypto.
func BenchmarkDerive(b *testing.B) {
	password, salt := []byte("a pass phrase"), []byte("sixteen bytes of")
	b.Run("here", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			DefaultCost.derive(password, salt, tagBytes)
		}
	})
	b.Run("x-crypto", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			argon2.IDKey(password, salt, DefaultCost.Passes, DefaultCost.MemoryKiB, DefaultCost.Lanes, tagBytes)
		}
	})
}
