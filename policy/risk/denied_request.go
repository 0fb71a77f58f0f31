package risk

import "time"

// DenialWindow is for how long a request that somebody denied on their phone
// says that somebody else may know their password.
const DenialWindow = 24 * time.Hour

// deniedRequest is a person who said on their phone that they had not asked.
var deniedRequest = signal{
	name: "denied_request", weight: 40, text: "the person denied a request on their phone within a day",
	judge: func(f *Facts, _ *Settings) verdict {
		if !f.DenialKnown {
			return unknown
		}
		return when(!f.DeniedAt.IsZero() && f.Now.Sub(f.DeniedAt) < DenialWindow)
	},
}
