package saml

import "time"

// Later moves the source's clock.
func (s *Source) Later(d time.Duration) {
	now := s.now
	s.now = func() time.Time { return now().Add(d) }
}
