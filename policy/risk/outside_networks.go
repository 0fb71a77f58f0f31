package risk

// outsideNetworks is an address outside the operator's own networks, where the
// configuration names any.
var outsideNetworks = signal{
	name: "outside_networks", weight: 10, text: "the address is outside internal_networks",
	judge: func(f *Facts, s *Settings) verdict {
		switch {
		case len(s.Internal) == 0:
			return off
		case !f.Address.IsValid():
			return unknown
		default:
			return when(!s.internal(f.Address))
		}
	},
}
