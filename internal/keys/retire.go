package keys

import (
	"errors"
	"fmt"
	"slices"
)

// ErrInUse says that a key cannot be retired: it is the primary or a prepared
// one, or the ring does not hold it.
var ErrInUse = errors.New("keys: only an older key can be retired")

// Retire takes older keys out of the file and then out of r. What they sealed
// opens no more and what they authenticated verifies no more, so the caller
// makes sure first that nothing needs them, and that the store asks for them no
// more. LastingMAC stays what it was. The file is replaced as by Rotate.
func (r *Ring) Retire(path string, ids []string) error {
	_, err := r.change(path, func(s *keySet) (*keySet, error) { return s.without(ids) })
	return err
}

// Without is r as if older keys were retired, for somebody who wants to know
// what still needs them. It does not follow what becomes of r.
func (r *Ring) Without(ids []string) (*Ring, error) {
	set, err := r.held.Load().without(ids)
	if err != nil {
		return nil, err
	}
	return newRing(set), nil
}

func (s *keySet) without(ids []string) (*keySet, error) {
	older := s.keys[:s.primary]
	for _, id := range ids {
		if !slices.ContainsFunc(older, func(k *key) bool { return k.name() == id }) {
			return nil, fmt.Errorf("%w: %.16q is not one", ErrInUse, id)
		}
	}
	var left []*key
	for _, k := range s.keys {
		if !slices.Contains(ids, k.name()) {
			left = append(left, k)
		}
	}
	return newKeySet(left, slices.Index(left, s.first()), s.lasting.prk)
}

// CheckOf is the check of the key of that ID, "" where the ring does not hold
// it.
func (r *Ring) CheckOf(id string) string {
	for _, k := range r.held.Load().keys {
		if k.name() == id {
			return k.check
		}
	}
	return ""
}

// Primary is the check of the key that everything new is written with.
func (r *Ring) Primary() string { return r.held.Load().first().check }
