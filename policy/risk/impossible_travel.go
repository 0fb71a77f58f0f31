package risk

const (
	// nearby is how far apart, in kilometres, two places may be without
	// anybody having travelled: databases put whole carriers into one town.
	nearby = 300
	// fastest is faster than people fly, in kilometres an hour.
	fastest = 1000
)

// impossibleTravel is a place that nobody could have reached since the last
// visit. One autonomous system in one country is one place, because carriers
// send their customers out wherever they like. A clock that went back makes no
// journey of a short way: only places that are far apart are looked at.
var impossibleTravel = signal{
	name: "impossible_travel", weight: 60, text: "nobody could have come here since the last visit",
	judge: func(f *Facts, s *Settings) verdict {
		switch last, ok := f.last(); {
		case !s.Places:
			return off
		case s.internal(f.Address):
			return clear
		case !f.VisitsKnown:
			return unknown
		case !ok || !last.Located: // nothing to have come from
			return clear
		case !f.Place.Located:
			return unknown
		case f.Place.System != 0 && f.Place.System == last.System && f.Place.Country == last.Country:
			return clear
		default:
			way, hours := apart(last.Place, f.Place), max(0, f.Now.Sub(last.At).Hours())
			return when(way > nearby && way > fastest*hours)
		}
	},
}
