package device

import "time"

// The words of a session's device; an unknown one has none.
const (
	Public  = "public"
	Private = "private"
)

const (
	// DefaultLife is how long a private device is one (contract, section 7).
	DefaultLife = 30 * 24 * time.Hour
	// PublicIdle ends a session on a public device that nothing has been heard
	// of for so long (SP 800-63B-4 §5.1).
	PublicIdle = 15 * time.Minute
)
