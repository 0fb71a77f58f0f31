package keys

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"
)

// ErrWrongKey says that a store was written with a key that the ring does
// not hold. The gateway must not start on it.
var ErrWrongKey = errors.New("keys: not the store's key file")

// Checks gives one key check value for each key that may have written: the
// primary and the older ones. The store keeps them beside its data, after
// Create and after every rotation. They tell nothing about the secrets.
func (r *Ring) Checks() []string {
	s := r.held.Load()
	var checks []string
	for _, k := range s.keys[:s.primary+1] {
		checks = append(checks, k.check)
	}
	return checks
}

// Knows returns nil when the ring holds every key that a store knows and has
// not retired, and an error that is ErrWrongKey and names the missing keys
// otherwise. No keys at all are a store that nothing was written to. A ring
// that would write with a retired key is older than the store, and also wrong.
func (r *Ring) Knows(known []Known) error {
	s := r.held.Load()
	var missing []string
	for _, k := range known {
		switch {
		case !k.RetiredAt.IsZero() && k.Check == s.first().check:
			return fmt.Errorf("%w: its primary key %s was retired; bring the present file from another node, or from a newer copy", ErrWrongKey, s.first().name())
		case k.RetiredAt.IsZero() && !s.holds(k.Check):
			missing = append(missing, fmt.Sprintf("%.16q", k.ID()))
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("%w: the store was written with key %s, which the file does not hold (its primary key is %s); %s; bring back the file that belongs to this store",
		ErrWrongKey, strings.Join(missing, ", "), s.first().name(), lostWithout)
}

func (s *keySet) holds(check string) bool {
	found := 0
	for _, k := range s.keys {
		found |= subtle.ConstantTimeCompare([]byte(k.check), []byte(check))
	}
	return found == 1
}
