package risk

import "time"

// ResetWindow is how long a reset of the password or of the factors is a new
// one.
const ResetWindow = 24 * time.Hour

// passwordReset is a password or factors that were reset a short while ago.
var passwordReset = signal{
	name: "password_reset", weight: 25, text: "the password or the factors were reset within a day",
	judge: func(f *Facts, _ *Settings) verdict {
		if !f.ResetKnown {
			return unknown
		}
		return when(!f.ResetAt.IsZero() && f.Now.Sub(f.ResetAt) < ResetWindow)
	},
}
