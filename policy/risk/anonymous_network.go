package risk

// anonymousNetwork is an address behind which people hide (an open proxy, an
// exit of an anonymising network), where the database of places says so.
var anonymousNetwork = signal{
	name: "anonymous_network", weight: 40, text: "the address belongs to an anonymising network",
	judge: func(f *Facts, s *Settings) verdict {
		if !s.Places {
			return off
		}
		return when(f.Place.Anonymous && !s.internal(f.Address))
	},
}
