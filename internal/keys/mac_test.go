package keys

import (
	"bytes"
	"slices"
	"testing"

	"github.com/gorilla/securecookie"
)

func split(parts ...string) [][]byte {
	var out [][]byte
	for _, p := range parts {
		out = append(out, []byte(p))
	}
	return out
}

func TestMACsOfDifferentPartsDiffer(t *testing.T) {
	r, _ := create(t)
	seen := map[string][][]byte{}
	for _, parts := range [][][]byte{
		split(), split(""), split("", ""), split("abc"), split("ab", "c"), split("a", "bc"), split("abc", ""), split("", "abc"),
		split("\x00\x00\x00\x00\x00\x00\x00\x01a"), split("a"),
	} {
		mac := string(r.MAC("p", parts...))
		if other, ok := seen[mac]; ok {
			t.Errorf("%q and %q have one MAC", other, parts)
		}
		seen[mac] = parts
	}
}

func TestVerifyMACRefusesWhatIsNotExactlyIt(t *testing.T) {
	r, _ := create(t)
	other, _ := create(t)
	mac := r.MAC("code", []byte("123456"))
	if len(mac) != MACBytes || !r.VerifyMAC("code", mac, []byte("123456")) {
		t.Fatalf("%x does not verify", mac)
	}
	for i := range mac {
		altered := slices.Clone(mac)
		altered[i] ^= 1
		if r.VerifyMAC("code", altered, []byte("123456")) {
			t.Errorf("byte %d altered verifies", i)
		}
		if r.VerifyMAC("code", mac[:i], []byte("123456")) {
			t.Errorf("%d bytes verify", i)
		}
	}
	for name, got := range map[string]bool{
		"another part":    r.VerifyMAC("code", mac, []byte("123457")),
		"another purpose": r.VerifyMAC("link", mac, []byte("123456")),
		"another ring":    other.VerifyMAC("code", mac, []byte("123456")),
		"nil":             r.VerifyMAC("code", nil, []byte("123456")),
	} {
		if got {
			t.Errorf("%s verifies", name)
		}
	}
}

func TestMACsVerifyAfterRotation(t *testing.T) {
	r, path := create(t)
	old := r.MAC("code", []byte("x"))
	rotate(t, r, path)
	fresh := r.MAC("code", []byte("x"))
	if bytes.Equal(old, fresh) {
		t.Error("the new primary makes the old MAC")
	}
	if !r.VerifyMAC("code", old, []byte("x")) || !r.VerifyMAC("code", fresh, []byte("x")) {
		t.Error("a key of the ring does not verify")
	}
	if got := r.MACs("code", []byte("x")); len(got) != 2 || !bytes.Equal(got[0], fresh) || !bytes.Equal(got[1], old) {
		t.Errorf("%x, want %x and %x", got, fresh, old)
	}
}

func TestCookieKeysDecodeCookiesAfterRotation(t *testing.T) {
	r, path := create(t)
	old, err := securecookie.EncodeMulti("c", "joe", securecookie.CodecsFromPairs(r.CookieKeys("cookie")...)...)
	if err != nil {
		t.Fatal(err)
	}
	rotate(t, r, path)
	pairs := r.CookieKeys("cookie")
	if len(pairs) != 4 || len(pairs[0]) != 64 || len(pairs[1]) != 32 {
		t.Fatalf("%d keys", len(pairs))
	}
	var name string
	if err := securecookie.DecodeMulti("c", old, &name, securecookie.CodecsFromPairs(pairs...)...); err != nil || name != "joe" {
		t.Errorf("%q, %v", name, err)
	}
	fresh, err := securecookie.EncodeMulti("c", "joe", securecookie.CodecsFromPairs(pairs...)...)
	if err != nil {
		t.Fatal(err)
	}
	if err := securecookie.DecodeMulti("c", fresh, &name, securecookie.CodecsFromPairs(pairs[:2]...)...); err != nil {
		t.Errorf("new cookies are not made with the primary: %v", err)
	}
	if err := securecookie.DecodeMulti("c", old, &name, securecookie.CodecsFromPairs(r.CookieKeys("other")...)...); err == nil {
		t.Error("another purpose decodes the cookie")
	}
}

func TestCacheStaysBounded(t *testing.T) {
	r, _ := create(t)
	k := r.held.Load().first()
	for i := range 3 * cacheLimit {
		purpose := string(rune('a' + i))
		if !r.VerifyMAC(purpose, r.MAC(purpose)) {
			t.Fatalf("purpose %d does not verify", i)
		}
	}
	if got := len(*k.macs.held.Load()); got != cacheLimit {
		t.Errorf("%d purposes are kept, want %d", got, cacheLimit)
	}
}

func BenchmarkMAC(b *testing.B) {
	r, _ := create(b)
	part := make([]byte, 100)
	b.ReportAllocs()
	for b.Loop() {
		r.MAC("code", part, part)
	}
}
