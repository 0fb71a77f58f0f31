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

// Knows returns nil when the ring holds the key of every check that a store
// kept, and an error that is ErrWrongKey and names the missing keys
// otherwise. No checks at all are a store that nothing was written to.
func (r *Ring) Knows(checks []string) error {
	s := r.held.Load()
	var missing []string
	for _, check := range checks {
		if !s.holds(check) {
			id, _, _ := strings.Cut(check, ":")
			missing = append(missing, fmt.Sprintf("%.16q", id))
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
