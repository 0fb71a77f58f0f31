package keys

import (
	"bytes"
	"encoding/hex"
	"errors"
	"slices"
	"testing"
)

// The vectors of C2SP's XAES-256-GCM.
func TestSealerIsXAES256GCM(t *testing.T) {
	for _, row := range []struct {
		key        byte
		associated string
		want       string
	}{
		{1, "", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"},
		{3, "c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"},
	} {
		nonce := []byte("ABCDEFGHIJKLMNOPQRSTUVWX")
		aead, err := newSealer(bytes.Repeat([]byte{row.key}, 32)).forNonce(nonce)
		if err != nil {
			t.Fatal(err)
		}
		got := aead.Seal(nil, nonce[12:], []byte("XAES-256-GCM"), []byte(row.associated))
		if hex.EncodeToString(got) != row.want {
			t.Errorf("key %d: %x, want %s", row.key, got, row.want)
		}
	}
}

func seal(t testing.TB, r *Ring, purpose, plaintext, associated string) []byte {
	t.Helper()
	sealed, err := r.Seal(purpose, []byte(plaintext), []byte(associated))
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func TestOpenGivesWhatWasSealed(t *testing.T) {
	r, path := create(t)
	for _, plaintext := range []string{"", "x", string(make([]byte, 100_000))} {
		sealed := seal(t, r, "p", plaintext, "row 1")
		if len(sealed) != len(plaintext)+SealedOverhead {
			t.Errorf("overhead is %d, want %d", len(sealed)-len(plaintext), SealedOverhead)
		}
		got, err := load(t, path).Open("p", sealed, []byte("row 1"))
		if err != nil || string(got) != plaintext {
			t.Errorf("%d bytes came back as %d: %v", len(plaintext), len(got), err)
		}
	}
}

func TestSealNeverGivesTheSameBytesTwice(t *testing.T) {
	r, _ := create(t)
	if bytes.Equal(seal(t, r, "p", "same", ""), seal(t, r, "p", "same", "")) {
		t.Error("two seals of one plaintext are equal")
	}
}

func TestOpenRefusesWhatIsNotExactlyWhatWasSealed(t *testing.T) {
	r, _ := create(t)
	other, _ := create(t)
	sealed := seal(t, r, "totp", "JBSWY3DPEHPK3PXP", "credential/secret/1")
	refused := func(name, purpose string, sealed []byte, associated string) {
		t.Helper()
		for range 2 {
			if got, err := r.Open(purpose, sealed, []byte(associated)); got != nil || !errors.Is(err, ErrSealed) {
				t.Errorf("%s: %q, %v", name, got, err)
			}
		}
	}
	for i := range sealed {
		for bit := range 8 {
			altered := slices.Clone(sealed)
			altered[i] ^= 1 << bit
			refused("altered byte", "totp", altered, "credential/secret/1")
		}
	}
	for n := range sealed {
		refused("cut", "totp", sealed[:n], "credential/secret/1")
	}
	refused("longer", "totp", append(slices.Clone(sealed), 0), "credential/secret/1")
	refused("another row", "totp", sealed, "credential/secret/2")
	refused("no associated data", "totp", sealed, "")
	refused("another purpose", "webauthn", sealed, "credential/secret/1")
	refused("another ring", "totp", seal(t, other, "totp", "x", ""), "")
}

func TestOpenStillOpensAfterRotation(t *testing.T) {
	r, path := create(t)
	old := seal(t, r, "p", "kept", "")
	if !r.Current(old) {
		t.Error("what was just sealed is not current")
	}
	rotate(t, r, path)
	if r.Current(old) {
		t.Error("what the old key sealed is still current")
	}
	for name, ring := range map[string]*Ring{"the same ring": r, "a restart": load(t, path)} {
		for _, sealed := range [][]byte{old, seal(t, r, "p", "kept", "")} {
			if got, err := ring.Open("p", sealed, nil); err != nil || string(got) != "kept" {
				t.Errorf("%s: %q, %v", name, got, err)
			}
		}
	}
}

func FuzzOpen(f *testing.F) {
	r, _ := create(f)
	genuine := seal(f, r, "p", "genuine", "")
	f.Add(genuine)
	f.Add(genuine[:SealedOverhead])
	f.Add([]byte{sealedVersion})
	f.Fuzz(func(t *testing.T, sealed []byte) {
		got, err := r.Open("p", sealed, nil)
		if (err == nil) != bytes.Equal(sealed, genuine) {
			t.Errorf("%x: %q, %v", sealed, got, err)
		}
		if err != nil && got != nil {
			t.Errorf("%x: bytes along with an error", sealed)
		}
		r.Current(sealed)
	})
}

func BenchmarkSeal(b *testing.B) {
	r, _ := create(b)
	plaintext := make([]byte, 300)
	b.ReportAllocs()
	for b.Loop() {
		r.Seal("session", plaintext, nil)
	}
}

func BenchmarkOpen(b *testing.B) {
	r, _ := create(b)
	sealed := seal(b, r, "session", string(make([]byte, 300)), "")
	b.ReportAllocs()
	for b.Loop() {
		r.Open("session", sealed, nil)
	}
}
