package keys

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"sync"
)

// MACBytes is the length of a MAC.
const MACBytes = sha256.Size

// MAC authenticates parts for a purpose with the primary key (HMAC-SHA-256).
// Each part enters with its length, so ("ab", "c") and ("a", "bc") differ.
func (r *Ring) MAC(purpose string, parts ...[]byte) []byte {
	return r.held.Load().first().mac(purpose).sum(parts)
}

// MACMaker is MAC with the key that is primary now, whatever becomes of the
// ring meanwhile, and that key's ID: for what is kept for long, so that it is
// known which key it stands on (UnderKey).
func (r *Ring) MACMaker(purpose string) (id string, mac func(parts ...[]byte) []byte) {
	k := r.held.Load().first()
	return k.name(), func(parts ...[]byte) []byte { return k.mac(purpose).sum(parts) }
}

// UnderKey is the MAC under the key of that ID; ok is false where the ring does
// not hold it.
func (r *Ring) UnderKey(id, purpose string, parts ...[]byte) (mac []byte, ok bool) {
	for _, k := range r.held.Load().keys {
		if k.name() == id {
			return k.mac(purpose).sum(parts), true
		}
	}
	return nil, false
}

// LastingMAC is a MAC that comes from the first key that the ring ever had, and
// that neither a rotation nor a retirement changes: the name of what is counted
// over rotations and shown to nobody. It proves nothing about who made it:
// whoever had an old key could.
func (r *Ring) LastingMAC(purpose string, parts ...[]byte) []byte {
	return r.held.Load().lasting.mac(purpose).sum(parts)
}

// MACs is the MAC under every key, the primary first: what to look for where
// a MAC is the name under which something was kept before a rotation.
func (r *Ring) MACs(purpose string, parts ...[]byte) [][]byte {
	keys := r.held.Load().newestFirst()
	sums := make([][]byte, len(keys))
	for i, k := range keys {
		sums[i] = k.mac(purpose).sum(parts)
	}
	return sums
}

// VerifyMAC tells whether some key of the ring made this MAC of these parts
// for this purpose. Every key is tried, in constant time.
func (r *Ring) VerifyMAC(purpose string, mac []byte, parts ...[]byte) bool {
	found := false
	for _, k := range r.held.Load().keys {
		if hmac.Equal(mac, k.mac(purpose).sum(parts)) {
			found = true
		}
	}
	return found
}

// CookieKeys gives hash and block keys in turn, the primary's pair first, as
// securecookie.CodecsFromPairs wants them: HMAC-SHA-256 and AES-256. Codecs
// made from them are made anew after a rotation.
func (r *Ring) CookieKeys(purpose string) (pairs [][]byte) {
	for _, k := range r.held.Load().newestFirst() {
		pairs = append(pairs, k.derive("cookie-hash", purpose, 64), k.derive("cookie-block", purpose, 32))
	}
	return pairs
}

// macKey is one HMAC key; its prepared states are used again and again.
type macKey struct{ states sync.Pool }

type macState struct {
	hash   hash.Hash
	length [8]byte
}

func newMACKey(secret []byte) *macKey {
	return &macKey{states: sync.Pool{New: func() any {
		return &macState{hash: hmac.New(sha256.New, secret)}
	}}}
}

func (m *macKey) sum(parts [][]byte) []byte {
	s := m.states.Get().(*macState)
	defer m.states.Put(s)
	s.hash.Reset()
	for _, part := range parts {
		binary.BigEndian.PutUint64(s.length[:], uint64(len(part)))
		s.hash.Write(s.length[:])
		s.hash.Write(part)
	}
	return s.hash.Sum(make([]byte, 0, MACBytes))
}

func (k *key) mac(purpose string) *macKey {
	if m, ok := k.macs.get(purpose); ok {
		return m
	}
	m := newMACKey(k.derive("mac", purpose, sha256.Size))
	k.macs.put(purpose, m)
	return m
}
