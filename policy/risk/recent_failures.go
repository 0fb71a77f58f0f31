package risk

// manyFailures is how many tries may fail in a row before somebody seems to be
// guessing.
const manyFailures = 3

// recentFailures is failed tries before this one, on the account or from the
// address.
var recentFailures = signal{
	name: "recent_failures", weight: 25, text: "3 or more tries failed before, on the account or from the address",
	judge: func(f *Facts, _ *Settings) verdict {
		if !f.FailuresKnown {
			return unknown
		}
		return when(f.Failures >= manyFailures)
	},
}
