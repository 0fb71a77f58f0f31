package risk

import "slices"

// newCountry is a country that the account has not been seen in, where there is
// a database of places.
var newCountry = signal{
	name: "new_country", weight: 30, text: "the account was not seen in this country before",
	judge: func(f *Facts, s *Settings) verdict {
		switch {
		case !s.Places:
			return off
		case s.internal(f.Address):
			return clear
		case f.Place.Country == "", !f.VisitsKnown:
			return unknown
		default:
			return when(!slices.ContainsFunc(f.Visits, func(v Visit) bool { return v.Country == f.Place.Country }))
		}
	},
}
