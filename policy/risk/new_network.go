package risk

import "slices"

// newNetwork is a network that the account has not been seen in. It weighs
// little: phones change networks all day.
var newNetwork = signal{
	name: "new_network", weight: 15, text: "the account was not seen in this network before",
	judge: func(f *Facts, s *Settings) verdict {
		network := Network(f.Address, f.Place)
		switch {
		case s.internal(f.Address):
			return clear
		case network == "", !f.VisitsKnown:
			return unknown
		default:
			return when(!slices.ContainsFunc(f.Visits, func(v Visit) bool { return v.Network == network }))
		}
	},
}
