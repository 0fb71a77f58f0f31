package keys

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// secretBytes is the size of a secret that we make, and the least that we
// accept (256 bits).
const secretBytes = 32

// idBytes is the size of a key's ID as it stands before what it sealed.
const idBytes = 8

// Ring is the set of keys in use. It is safe for concurrent use; a rotation
// changes it in place, so whoever holds it writes with the new key at once.
// Get one from Create or Load. Printing it shows no secret.
type Ring struct {
	held     atomic.Pointer[keySet]
	changing sync.Mutex // held while the file is replaced
}

// keySet is one state of a ring. It never changes once it is in use.
type keySet struct {
	keys    []*key // in the order of the file, oldest first
	primary int    // index into keys
	lasting *key   // what LastingMAC is made with; only its prk is set
	jwks    []byte
}

// key is one secret with what is derived from it.
type key struct {
	id      [idBytes]byte
	created time.Time
	secret  []byte
	prk     []byte // HKDF-Extract of secret
	check   string
	signer  jose.Signer
	public  jose.JSONWebKey

	sealers cache[*sealer]
	macs    cache[*macKey]
}

// Info describes a key without its secret.
type Info struct {
	// ID is 16 hexadecimal digits; it is also the `kid` of assertions.
	ID string
	// Created is UTC, in whole seconds.
	Created time.Time
	// Primary marks the key that everything new is written with.
	Primary bool
	// Prepared marks a key that the next rotation makes primary.
	Prepared bool
}

// List describes the keys, oldest first.
func (r *Ring) List() []Info {
	s := r.held.Load()
	list := make([]Info, len(s.keys))
	for i, k := range s.keys {
		list[i] = Info{ID: k.name(), Created: k.created, Primary: i == s.primary, Prepared: i > s.primary}
	}
	return list
}

// String implements fmt.Stringer without secrets.
func (r *Ring) String() string {
	s := r.held.Load()
	return fmt.Sprintf("key ring of %d, primary %s", len(s.keys), s.first().name())
}

// GoString implements fmt.GoStringer without secrets.
func (r *Ring) GoString() string { return r.String() }

func newRing(s *keySet) *Ring {
	r := &Ring{}
	r.held.Store(s)
	return r
}

// newKeySet makes a state of a ring. lasting is nil where the oldest key has
// never been retired.
func newKeySet(keys []*key, primary int, lasting []byte) (*keySet, error) {
	jwks, err := marshalJWKS(keys)
	if err != nil {
		return nil, err
	}
	if lasting == nil {
		lasting = keys[0].derive(lastingWord, "", secretBytes)
	}
	return &keySet{keys: keys, primary: primary, lasting: &key{prk: lasting}, jwks: jwks}, nil
}

// first is the primary key.
func (s *keySet) first() *key { return s.keys[s.primary] }

// newestFirst lists the primary, then the others from the newest on.
func (s *keySet) newestFirst() []*key {
	list := make([]*key, 0, len(s.keys))
	list = append(list, s.first())
	for i, k := range slices.Backward(s.keys) {
		if i != s.primary {
			list = append(list, k)
		}
	}
	return list
}

// find returns the key with that ID, or nil.
func (s *keySet) find(id [idBytes]byte) *key {
	for _, k := range s.keys {
		if k.id == id {
			return k
		}
	}
	return nil
}

// generateKey makes a new key from the system's random source.
func generateKey(now time.Time) (*key, error) {
	secret := make([]byte, secretBytes)
	rand.Read(secret) // never fails: the program ends instead
	return newKey(secret, now)
}

// newKey derives everything that a key needs all the time.
func newKey(secret []byte, created time.Time) (*key, error) {
	prk, err := hkdf.Extract(sha256.New, secret, []byte("stepgate key ring v1"))
	if err != nil {
		return nil, fmt.Errorf("derive key: %w", err)
	}
	k := &key{secret: secret, prk: prk, created: created.UTC().Truncate(time.Second)}
	copy(k.id[:], k.derive("id", "", idBytes))
	k.check = k.name() + ":" + hex.EncodeToString(k.derive("check", "", 16))
	if err := k.prepareSigner(); err != nil {
		return nil, err
	}
	return k, nil
}

func (k *key) name() string { return hex.EncodeToString(k.id[:]) }

// derive expands the subkey of a use and purpose. Uses hold no slash, so no
// two pairs share an info string.
func (k *key) derive(use, purpose string, size int) []byte {
	sub, err := hkdf.Expand(sha256.New, k.prk, use+"/"+purpose, size)
	if err != nil {
		panic("keys: " + err.Error()) // only for sizes above 255 hashes
	}
	return sub
}
